//! What is around a store or an inbox under test: its time, its server, and what lives as long.

use std::{any::Any, future::Future, pin::Pin, sync::Arc, time::Duration};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
type Hook = Arc<dyn Fn() -> Boxed + Send + Sync>;

/// How time passes, how the server is taken away, and what is kept. Clones are the same.
#[derive(Clone)]
pub(super) struct Surroundings {
    passing: Arc<dyn Fn(Duration) -> Boxed + Send + Sync>,
    outage: Option<(Hook, Hook)>,
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Surroundings {
    pub(super) fn new<F: Future<Output = ()> + Send + 'static>(
        pass: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { passing: Arc::new(move |time| Box::pin(pass(time))), outage: None, kept: Vec::new() }
    }

    /// Moves time so from now on.
    pub(super) fn set_passing<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        pass: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) {
        self.passing = Arc::new(move |time| Box::pin(pass(time)));
    }

    pub(super) fn set_outage<F, G>(
        &mut self,
        stop: impl Fn() -> F + Send + Sync + 'static,
        start: impl Fn() -> G + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
        G: Future<Output = ()> + Send + 'static,
    {
        let stop: Hook = Arc::new(move || Box::pin(stop()));
        self.outage = Some((stop, Arc::new(move || Box::pin(start()))));
    }

    pub(super) fn keep(&mut self, value: impl Any + Send + Sync) {
        self.kept.push(Arc::new(value));
    }

    pub(super) async fn pass(&self, time: Duration) {
        (self.passing)(time).await;
    }

    pub(super) async fn stop(&self) {
        self.hooks().0().await;
    }

    pub(super) async fn start(&self) {
        self.hooks().1().await;
    }

    fn hooks(&self) -> &(Hook, Hook) {
        self.outage.as_ref().expect("this row takes the server away: say how with `Subject::outage`")
    }
}
