//! Several receivers as one: built, found by name, checked, rotated and shut down together.

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use super::builder::ReceiverBuilder;
use super::config::ConfigError;
use super::receive::Receiver;
use crate::error::StoreError;
use crate::observe::Origin;
use crate::sender::Sender;
use crate::verify::{SecretError, Secrets};

/// The receivers of one process, each found by the name of its endpoint. Cheap to clone; clones
/// share everything.
///
/// ```
/// use circa_receiver::{MemoryStore, Receiver, Receivers, Secret};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secrets = [Secret::new("whsec_one_0123456789abcdef")?, Secret::new("whsec_two_0123456789abcdef")?];
/// let [billing, research] = secrets;
/// let endpoints = [Receiver::circa(billing).endpoint("billing"), Receiver::circa(research).endpoint("research")];
/// // What all of them have: here one store, and observers or a dead-letter sink where you have them.
/// let store = std::sync::Arc::new(MemoryStore::default());
/// let receivers = Receivers::new(endpoints, |builder| builder.dedup(store.clone()))?;
/// assert_eq!(receivers.get("billing").map(|receiver| receiver.endpoint()), Some("billing"));
/// # Ok(())
/// # }
/// ```
///
/// The adapters' `serve` and `Server` take it as it is, and shut it down.
#[derive(Clone)]
pub struct Receivers(Arc<[Member]>);

struct Member {
    receiver: Receiver,
    /// The variable that its secrets were read from.
    variable: Option<Box<str>>,
}

impl Receivers {
    /// Builds all of them, `common` applied to each.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: that of one of them, [`ConfigError::SameEndpoint`], or [`SecretError::SharedBetweenSenders`].
    pub fn new(
        endpoints: impl IntoIterator<Item = ReceiverBuilder>,
        common: impl Fn(ReceiverBuilder) -> ReceiverBuilder,
    ) -> Result<Self, ConfigError> {
        Self::build(endpoints.into_iter().map(|builder| (builder, None)).collect(), common)
    }

    /// Builds one for each endpoint, given by its name, its sender, and the variable in which its
    /// secret is found, or the path of its file: see [`Secrets::from_env`]. `common` is applied to
    /// each.
    ///
    /// ```no_run
    /// use circa_receiver::{Receivers, Sender};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoints = [
    ///     ("circa", Sender::CIRCA, "CIRCA_WEBHOOK_SECRET"),
    ///     ("circularo", Sender::CIRCULARO, "CIRCULARO_HMAC_SECRET"),
    /// ];
    /// let receivers = Receivers::from_env(endpoints, |builder| builder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Receivers::new`], and [`SecretError::NotSet`] for the first variable that is missing.
    pub fn from_env<'a>(
        endpoints: impl IntoIterator<Item = (&'a str, Sender, &'a str)>,
        common: impl Fn(ReceiverBuilder) -> ReceiverBuilder,
    ) -> Result<Self, ConfigError> {
        let read = endpoints.into_iter().map(|(name, sender, variable)| {
            let builder = ReceiverBuilder::new(sender, Some(Secrets::from_env(variable)?)).endpoint(name);
            Ok((builder, Some(variable.into())))
        });
        Self::build(read.collect::<Result<_, SecretError>>()?, common)
    }

    fn build(
        endpoints: Vec<(ReceiverBuilder, Option<Box<str>>)>,
        common: impl Fn(ReceiverBuilder) -> ReceiverBuilder,
    ) -> Result<Self, ConfigError> {
        ensure_distinct(endpoints.iter().filter_map(|(builder, _)| Some((builder.sender, builder.secrets.as_ref()?))))?;
        let all: Vec<_> = endpoints.iter().map(|(builder, _)| (builder.sender, builder.secrets.clone())).collect();
        let mut members: Vec<Member> = Vec::new();
        for (at, (builder, variable)) in endpoints.into_iter().enumerate() {
            let receiver = common(with_known_secrets(builder, &all, at)).build()?;
            if members.iter().any(|member| member.receiver.endpoint() == receiver.endpoint()) {
                return Err(ConfigError::SameEndpoint(receiver.endpoint().to_owned()));
            }
            members.push(Member { receiver, variable });
        }
        Ok(Self(members.into()))
    }

    /// The receiver of the endpoint with this name.
    pub fn get(&self, endpoint: &str) -> Option<&Receiver> {
        self.iter().find(|receiver| receiver.endpoint() == endpoint)
    }

    /// All of them, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Receiver> {
        self.0.iter().map(|member| &member.receiver)
    }

    /// Reads the secrets of [`Receivers::from_env`] again, as after SIGHUP: the files, for the
    /// environment of a process does not change. All are replaced, or none where one of them is
    /// refused.
    ///
    /// It reaches this process. For replicas write the new secret to the file of each, or to one
    /// that all of them mount, and send each SIGHUP.
    ///
    /// # Errors
    ///
    /// [`SecretError`], with where the secret stands. The secrets stay as they were.
    pub fn reload(&self) -> Result<(), SecretError> {
        let mut read = Vec::new();
        for Member { receiver, variable } in self.0.iter() {
            if let Some(variable) = variable {
                read.push((receiver, Secrets::from_env(variable)?));
            }
        }
        ensure_distinct(read.iter().map(|(receiver, secrets)| (receiver.sender(), secrets)))?;
        for (receiver, secrets) in read {
            receiver.replace_secrets(secrets);
        }
        Ok(())
    }

    /// Whether the dedup stores of all can be used: [`Receiver::check_store`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the first that cannot.
    pub async fn check_stores(&self) -> Result<(), StoreError> {
        for receiver in self.iter() {
            receiver.check_store().await?;
        }
        Ok(())
    }

    /// Stops the intake of all at once, then waits until each has ended: [`Receiver::shutdown`].
    pub async fn shutdown(&self) {
        self.stop_intake();
        let mut shutdowns: Vec<_> = self.iter().map(|receiver| Box::pin(receiver.shutdown())).collect();
        poll_fn(|cx| {
            shutdowns.retain_mut(|shutdown| shutdown.as_mut().poll(cx).is_pending());
            if shutdowns.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// From here on nothing is taken in.
    pub(crate) fn stop_intake(&self) {
        self.iter().for_each(Receiver::stop_intake);
    }
}

/// The secrets of the other endpoints explain a mismatch.
fn with_known_secrets(builder: ReceiverBuilder, all: &[(Sender, Option<Secrets>)], own: usize) -> ReceiverBuilder {
    let sender = builder.sender;
    let others = all.iter().enumerate().filter(|(at, _)| *at != own);
    let known = others.filter_map(|(_, (other, secrets))| Some((other, secrets.clone()?)));
    known.fold(builder, |builder, (other, secrets)| {
        let origin = if *other == sender { Origin::OtherEndpoint } else { Origin::OtherSender };
        builder.known_secrets(origin, secrets)
    })
}

/// A secret belongs to one endpoint, and so to one sender.
fn ensure_distinct<'s>(endpoints: impl Iterator<Item = (Sender, &'s Secrets)> + Clone) -> Result<(), SecretError> {
    let circas = endpoints.clone().filter(|(sender, _)| *sender == Sender::CIRCA);
    for (_, circa) in circas {
        for (_, circularo) in endpoints.clone().filter(|(sender, _)| *sender == Sender::CIRCULARO) {
            circa.ensure_distinct(circularo)?;
        }
    }
    Ok(())
}

/// Of receivers that were built one by one.
impl FromIterator<Receiver> for Receivers {
    fn from_iter<I: IntoIterator<Item = Receiver>>(receivers: I) -> Self {
        Self(receivers.into_iter().map(|receiver| Member { receiver, variable: None }).collect())
    }
}

impl IntoIterator for Receivers {
    type Item = Receiver;
    type IntoIter = std::vec::IntoIter<Receiver>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
