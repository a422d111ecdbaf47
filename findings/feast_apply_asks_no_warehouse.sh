#!/bin/sh
# Feast: `feast apply` registers a view over a PostgreSQL table without asking the server, source
# validation included: no server need be there, nor the table, nor a column of it.
# Exits with 0 while it does so, with another code once it asks.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install -q --disable-pip-version-check 'feast[postgres]==0.67.0'
mkdir "$here/repo" && cd "$here/repo"
cat > feature_store.yaml <<'YAML'
project: asked
provider: local
registry: registry.db
entity_key_serialization_version: 3
online_store: {type: sqlite, path: online.db}
offline_store: {type: postgres, host: 127.0.0.1, port: 1, database: none, user: nobody, password: wrong}
YAML
cat > views.py <<'PYTHON'
from feast import Entity, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Int64

customer = Entity(name="customer", join_keys=["id"], value_type=ValueType.INT64)
view = FeatureView(
    name="view",
    entities=[customer],
    schema=[Field(name="id", dtype=Int64), Field(name="count", dtype=Int64)],
    source=PostgreSQLSource(name="nowhere", table="no.where", timestamp_field="at"),
)
PYTHON
"$here/venv/bin/feast" version 2>/dev/null | tail -1
"$here/venv/bin/feast" apply >applied 2>&1 || true
if ! "$here/venv/bin/feast" feature-views list 2>/dev/null | grep '^view '; then
  echo "not registered: feast apply asks the warehouse now"; cat applied; exit 1
fi
echo "registered, though nothing listens at the warehouse's port"
