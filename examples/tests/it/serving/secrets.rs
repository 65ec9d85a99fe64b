//! What the environment says of secrets, and of deliveries beside the webhooks.

use std::fs;

use circa_receiver::testing::CircaSigner;
use circa_receiver_test_support::Folder;
use tokio::time::timeout;

use super::PATIENCE;
use crate::support::{CIRCA_SECRET, REFERENCES, Request, event};

fn signed_with(secret: &str, id: &str) -> Request {
    let body = event(id);
    let signature = CircaSigner::new(secret).sign_now(body.as_bytes());
    Request::post("/webhooks/circa").header("Circa-Signature", signature).body(body)
}

/// Contract, section 4: "They can be swapped while requests are in flight".
#[tokio::test]
async fn secrets_come_from_files_and_are_read_again_on_sighup() {
    for reference in &REFERENCES {
        let folder = Folder::new("secrets");
        let file = folder.path().join("secret");
        fs::write(&file, format!("{CIRCA_SECRET}\n")).unwrap();
        let process = reference.start_with(&[("CIRCA_WEBHOOK_SECRET_FILE", &file)]).await;
        let address = process.address;
        let first = signed_with(CIRCA_SECRET, "evt_1").send(address).await;
        assert_eq!(first.told(), (200, Some("handled")), "{}", reference.name);

        let new = "whsec_ffffffffffffffffffffffff";
        fs::write(&file, format!("{new}\r\n")).unwrap();
        process.signal("HUP").await;
        let accepted = async { while signed_with(new, "evt_2").send(address).await.status != 200 {} };
        timeout(PATIENCE, accepted).await.expect("the new secret is read");
        assert_eq!(signed_with(CIRCA_SECRET, "evt_3").send(address).await.status, 401, "{}", reference.name);

        // A bad one leaves the good one alone.
        fs::write(&file, "").unwrap();
        process.signal("HUP").await;
        assert_eq!(signed_with(new, "evt_4").send(address).await.status, 200, "{}", reference.name);
    }
}

#[tokio::test]
async fn a_delivery_beside_the_webhook_is_logged_with_what_is_served() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let [_, mut stderr] = process.outputs();
        let answer = Request::post("/webhooks/circa/").body("{}").send(process.address).await;
        assert_eq!(answer.status, 404, "{}", reference.name);
        let logged = async {
            loop {
                let line = stderr.recv().await.expect("standard error has ended");
                if line.contains("nothing is served") {
                    break line;
                }
            }
        };
        let line = timeout(PATIENCE, logged).await.expect("it is logged");
        assert!(line.contains("\"/webhooks/circa/\"") && line.contains("/webhooks/circularo"), "{line}");
    }
}
