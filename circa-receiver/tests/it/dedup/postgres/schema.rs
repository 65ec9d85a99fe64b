//! The table: made once, whoever comes first, in any schema, and used with the least privileges.

use std::sync::Arc;

use circa_receiver::{DedupStore, dedup::PostgresStore};

use super::{PATIENCE, all_operations_work, key, patient, request, server, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn migrates_again_and_at_once_in_a_schema_of_any_name() {
    let longest = "x".repeat(63);
    for schema in [
        "public",
        "webhooks",
        "Webhooks",
        "two words",
        "we\"ird",
        "it's",
        "back\\slash",
        "\\'",
        "\"",
        "x\"; drop schema public cascade; --",
        "x'; drop schema public cascade; --",
        "select",
        "Ünïcödé",
        longest.as_str(),
    ] {
        let stores: Vec<_> = (0..8).map(|_| Arc::new(patient(server()).schema(schema))).collect();
        let migrations: Vec<_> = stores
            .iter()
            .map(|store| {
                let store = Arc::clone(store);
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap_or_else(|error| panic!("{schema:?}: {error}"));
        }
        all_operations_work(&stores[0], schema).await;
        stores[1].migrate().await.unwrap();
        assert!(stores[1].claim(request(&key(format!("{schema}, released")), 3)).await.is_ok(), "{schema:?}");
    }
    let schemas = server().sql(
        "SELECT count(*) FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
         WHERE relname = 'circa_receiver_claims' AND nspname ~ 'drop schema'",
    );
    assert_eq!(schemas, "2", "each is a schema of its own");
}

/// PostgreSQL itself reports a broken protocol, or a broken encoding.
#[tokio::test]
async fn a_schema_name_with_nul_is_refused_with_its_own_message() {
    let store = patient(server()).schema("web\0hooks");
    let key = key("nul");
    for (call, error) in [
        ("migrate", store.migrate().await.unwrap_err()),
        ("check", store.check().await.unwrap_err()),
        ("claim", store.claim(request(&key, 1)).await.unwrap_err()),
        ("sweep", store.sweep().await.unwrap_err()),
    ] {
        let text = error.to_string();
        assert!(text.contains("has a NUL character") && !text.contains("pgbouncer"), "{call}: {text}");
    }
}

#[tokio::test]
async fn what_schema_sql_says_is_what_migrate_makes() {
    let by_hand = patient(server()).schema("by_hand");
    server().sql("CREATE SCHEMA by_hand");
    server().sql(&by_hand.schema_sql());
    by_hand.check().await.unwrap();
    by_hand.migrate().await.unwrap();
    server().sql(&by_hand.schema_sql());
    all_operations_work(&by_hand, "by hand").await;
}

#[tokio::test]
async fn a_missing_table_is_told_with_what_to_do() {
    server().sql("CREATE SCHEMA empty");
    for schema in ["empty", "no such schema"] {
        let store = patient(server()).schema(schema);
        let key = key("missing");
        for (operation, error) in [
            ("claim", store.claim(request(&key, 1)).await.unwrap_err()),
            ("release", store.release(&key, circa_receiver::dedup::Token::new(1)).await.unwrap_err()),
            ("check", store.check().await.unwrap_err()),
            ("sweep", store.sweep().await.unwrap_err()),
        ] {
            let text = error.to_string();
            assert!(text.contains("call `PostgresStore::migrate`") && text.contains(schema), "{operation}: {text}");
        }
    }
}

#[tokio::test]
async fn a_table_of_another_version_is_refused() {
    let store = store("versions").await;
    for (comment, words) in [
        ("'circa-receiver, version 2'", "has version 2"),
        ("'circa-receiver, version 3, usable by 2'", "has version 3"),
        ("'claims of the web team'", "does not say its version"),
        ("NULL", "does not say its version"),
    ] {
        server().sql(&format!("COMMENT ON TABLE versions.circa_receiver_claims IS {comment}"));
        for (call, answer) in [("migrate", store.migrate().await), ("check", store.check().await)] {
            let text = answer.unwrap_err().to_string();
            assert!(text.contains(words), "{call}, {comment}: {text}");
        }
    }
    server().sql("COMMENT ON TABLE versions.circa_receiver_claims IS 'circa-receiver, version 3, usable by 1'");
    store.migrate().await.unwrap();
    all_operations_work(&store, "of a newer version that this one can use").await;
    server().sql(&store.schema_sql());
    store.check().await.unwrap();
}

const TABLE: &str = "least.circa_receiver_claims";
const TOKENS: &str = "least.circa_receiver_tokens";

#[tokio::test]
async fn a_role_needs_no_more_than_grants_sql_says_and_no_less() {
    let owner = store("least").await;
    server().sql("CREATE ROLE \"least role\" LOGIN");
    server().sql(&owner.grants_sql("least role"));
    let role =
        || PostgresStore::connect_lazy(&server().url_as("least%20role")).unwrap().timeout(PATIENCE).schema("least");
    all_operations_work(&role(), "least").await;
    role().migrate().await.unwrap();
    let refused = role().schema("not yet there").migrate().await.unwrap_err().to_string();
    assert!(refused.contains("permission denied") && refused.contains("CREATE"), "{refused}");
    for grant in [
        "USAGE ON SCHEMA least".to_owned(),
        format!("SELECT ON {TABLE}"),
        format!("INSERT ON {TABLE}"),
        format!("UPDATE ON {TABLE}"),
        format!("DELETE ON {TABLE}"),
        format!("USAGE ON SEQUENCE {TOKENS}"),
    ] {
        server().sql(&format!("REVOKE {grant} FROM \"least role\""));
        let text = role().check().await.unwrap_err().to_string();
        assert!(text.contains("grants_sql"), "{grant}: {text}");
        server().sql(&owner.grants_sql("least role"));
        role().check().await.unwrap();
    }
}

/// A migration by hand while the store runs, and what a pooler may do between two calls: the next
/// call copes.
#[tokio::test]
async fn prepared_statements_that_are_gone_are_prepared_again() {
    let store = store("prepared").await;
    let table = "prepared.circa_receiver_claims";
    let again = format!("DROP TABLE {table}; DROP SEQUENCE prepared.circa_receiver_tokens; {}", store.schema_sql());
    let changes =
        [format!("ALTER TABLE {table} ADD COLUMN note text"), format!("ALTER TABLE {table} DROP COLUMN note"), again];
    for (index, change) in changes.iter().enumerate() {
        all_operations_work(&store, &format!("before {index}")).await;
        server().sql(change);
        all_operations_work(&store, &format!("after {index}")).await;
    }
    // Statements that were prepared while the column had another type are invalid once it has its
    // type again.
    server().sql(&format!("ALTER TABLE {table} ALTER COLUMN token TYPE numeric"));
    for _ in 0..10 {
        assert!(store.claim(request(&key("numeric"), 1)).await.is_err());
    }
    server().sql(&format!("TRUNCATE {table}; ALTER TABLE {table} ALTER COLUMN token TYPE bigint"));
    all_operations_work(&store, "after numeric").await;
    let pool = super::pool(super::options(server()), 1);
    let store = PostgresStore::new(pool.clone()).schema("prepared");
    for forgetting in ["DEALLOCATE ALL", "DISCARD ALL"] {
        all_operations_work(&store, &format!("before {forgetting}")).await;
        circa_receiver::dedup::sqlx::raw_sql(forgetting).execute(&pool).await.unwrap();
        all_operations_work(&store, &format!("after {forgetting}")).await;
    }
}
