//! The sources of tenants' secrets: what they know, and what they say where they cannot know.

use std::{fs, time::SystemTime};

use circa_receiver::{SecretSource, Verifier, testing::CircaSigner};
use circa_receiver_examples::sources::{FolderSource, TableSource};
use circa_receiver_test_support::{Folder, postgres::PostgresServer};
use sqlx::PgPool;

const OLD: &str = "whsec_old_0123456789abcdef";
const NEW: &str = "whsec_new_0123456789abcdef";

/// Which of the two secrets verify; `None` where the tenant is unknown.
async fn known(source: &impl SecretSource, tenant: &str) -> Option<[bool; 2]> {
    let verifier = Verifier::circa(source.secrets(tenant).await.unwrap()?);
    Some([OLD, NEW].map(|secret| {
        let signature = CircaSigner::new(secret).sign_now(b"{}");
        verifier.verify([("circa-signature", signature.as_bytes())], b"{}", SystemTime::now()).is_ok()
    }))
}

#[tokio::test]
async fn a_folder_has_a_file_for_each_tenant() {
    let folder = Folder::new("tenants");
    let source = FolderSource::new(folder.path());
    assert_eq!(known(&source, "acme").await, None);
    let file = folder.path().join("acme");
    for (text, expected) in [
        (format!("{OLD}\n"), Some([true, false])),
        (format!("{NEW}\n{OLD}\n"), Some([true, true])),
        (NEW.to_owned(), Some([false, true])),
        (String::new(), None),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(known(&source, "acme").await, expected);
    }
    fs::write(&file, "short").unwrap();
    assert!(source.secrets("acme").await.is_err(), "a bad secret is no unknown tenant");
    fs::create_dir(folder.path().join("umbrella")).unwrap();
    assert!(source.secrets("umbrella").await.is_err(), "what cannot be read is no unknown tenant");
}

#[tokio::test]
async fn a_table_has_a_row_for_each_secret() {
    let server = PostgresServer::start();
    let source = TableSource::new(PgPool::connect(&server.url()).await.unwrap());
    assert!(source.secrets("acme").await.is_err(), "no table yet");
    source.migrate().await.unwrap();
    source.migrate().await.unwrap();
    assert_eq!(known(&source, "acme").await, None);
    server
        .sql(&format!("INSERT INTO webhook_secrets (tenant, secret) VALUES ('acme', '{OLD}'), ('umbrella', '{NEW}')"));
    assert_eq!(known(&source, "acme").await, Some([true, false]));
    server.sql(&format!("INSERT INTO webhook_secrets (tenant, secret) VALUES ('acme', '{NEW}')"));
    assert_eq!(known(&source, "acme").await, Some([true, true]));
    server.sql(&format!("DELETE FROM webhook_secrets WHERE secret = '{OLD}'"));
    assert_eq!(known(&source, "acme").await, Some([false, true]));
    assert_eq!(known(&source, "' OR true --").await, None);
}
