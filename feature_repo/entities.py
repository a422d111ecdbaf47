"""Entities: what a feature is about, and the join key that says so (contract §2)."""

from feast import Entity, ValueType

customer = Entity(
    name="customer_id",
    join_keys=["customer_id"],
    value_type=ValueType.INT64,
    description="A customer, by the warehouse's identifier. Hashed in every training set.",
    owner="Customer Analytics Team",
)
