"""What models ask for: one service pinned per version, and the pointer promotion moves (§10)."""

from feast import FeatureService

from feature_repo.customer_profile import customer_profile_v1

pinned_customer_profile_v1 = FeatureService(
    name="customer_profile_v1",
    features=[customer_profile_v1],
    description="customer_profile, version v1, for as long as it is supported.",
    owner="Customer Analytics Team",
    tags={"feature": "customer_profile", "version": "v1"},
)

# Promotion and rollback move it in the registry; `feast apply` refuses to put it elsewhere.
customer_profile = FeatureService(
    name="customer_profile",
    features=[customer_profile_v1],
    description="customer_profile, the version now promoted.",
    owner="Customer Analytics Team",
    tags={"feature": "customer_profile", "serves": "customer_profile_v1"},
)
