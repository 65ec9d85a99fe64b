//! Whether traffic should come here.

use circa_receiver::{
    AnyEvent, Receiver, Routes,
    serving::{Lifecycle, Probe},
};

use crate::support::receiving::{Fault, ScriptedInbox, circa, seconds};

fn receiver(inbox: &ScriptedInbox) -> Receiver {
    circa().inbox(inbox.clone()).build().unwrap()
}

/// An inbox that answers checks and not its worker is not enough.
#[tokio::test(start_paused = true)]
async fn a_worker_that_is_not_healthy_is_counted_in() {
    let inbox = ScriptedInbox::new();
    let receiver = receiver(&inbox);
    let routes = Routes::new().fallback(async |_: AnyEvent, (): ()| Ok(()));
    let worker = receiver.worker(routes, ()).unwrap().build().unwrap();
    let lifecycle = Lifecycle::new([receiver]);
    lifecycle.readiness().watch(worker.clone());
    let _running = tokio::spawn(worker.run());
    for (operation, failures, status, why) in [
        ("lease", 0, 200, "ok"),
        ("lease", usize::MAX, 503, "the inbox does not answer its worker"),
        ("lease", 0, 200, "ok"),
        ("check", usize::MAX, 503, "the dedup store or the inbox does not answer"),
        ("check", 0, 200, "ok"),
    ] {
        inbox.script(operation, Fault::Fail, failures);
        tokio::time::sleep(seconds(6)).await;
        let answer = lifecycle.readiness().answer("GET", Probe::Ready).await;
        assert_eq!((answer.status(), answer.body()), (status, why), "{operation}");
    }
}
