"""The customer_profile features, version by version. A served version is never edited."""

from datetime import timedelta

from feast import FeatureView, Field
from feast.types import Float64, Int64

from feature_repo.entities import customer
from feature_repo.sources import customer_features_offline

# A field's "default" tag is what both stores answer where the offline table has no value
# (contract §2 join failure policy, §5.2 default value). Feast 0.67 has no default of its own.
customer_profile_v1 = FeatureView(
    name="customer_profile_v1",
    entities=[customer],
    ttl=timedelta(days=30),
    source=customer_features_offline,
    schema=[
        Field(
            name="avg_order_value_30d",
            dtype=Float64,
            description="Money spent per order over the last 30 days; 0 without orders.",
            tags={"default": "0"},
        ),
        Field(
            name="orders_30d",
            dtype=Int64,
            description="Orders placed in the last 30 days.",
            tags={"default": "0"},
        ),
        Field(
            name="sessions_30d",
            dtype=Int64,
            description="Sessions in the last 30 days.",
            tags={"default": "0"},
        ),
        Field(
            name="distinct_order_days_30d",
            dtype=Int64,
            description="UTC days with at least one order in the last 30 days.",
            tags={"default": "0"},
        ),
    ],
    online=True,
    description="How a customer behaved over the last 30 days, for churn and lifetime value.",
    owner="Customer Analytics Team",
    tags={
        "feature": "customer_profile",
        "version": "v1",
        "status": "Active",
        "steward": "Data Platform Team",
        "use_cases": "Churn prediction, customer segmentation, personalization, retention scoring",
        "source": "data_warehouse.customer_events",
        "source_owner": "Data Engineering",
        "refresh_cadence": "hourly",
        "upstream": "customer_events_ingestion_job, customer_activity_dbt_model",
        "lineage": "https://catalog.company.com/lineage/customer_profile",
        "alerts": "#ml-alerts Slack channel",
        "classification": "Internal",
        "pii": "customer_id",
        "masking": "customer_id is hashed in training datasets",
        "retention": "365 days",
        "approved_consumers": "ML Platform, Marketing Analytics",
    },
)
