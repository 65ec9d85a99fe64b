//! Which handler runs for which event type. One table for all kinds of handler.

use std::{collections::HashMap, fmt};

use crate::event::{EventData, EventKind};
use crate::sender::Sender;

/// Handlers by event type: exact match only, no prefixes. What no handler is registered for goes to
/// the fallback, or is ignored.
///
/// `H` is whatever executes an event: the adapters' own handlers, or
/// [`PortableHandler`](crate::PortableHandler). Mistakes are reported by [`Routes::check`], when
/// the receiver is mounted and not at the first delivery.
#[derive(Clone)]
pub struct Routes<H> {
    by_type: HashMap<Box<str>, H>,
    fallback: Option<H>,
    senders: Vec<(Sender, &'static str)>,
    error: Option<RouteError>,
}

/// A mistake in the routing of events.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// Two handlers for one type.
    #[error("two handlers are registered for the event type {0:?}: remove one, or call both from one handler")]
    Duplicate(String),
    /// Two fallbacks.
    #[error("two fallbacks are registered: remove one")]
    TwoFallbacks,
    /// No event can have this type.
    #[error("no event can have the type {0:?}: types are 1 to 128 letters, digits, `_`, `.` or `-`")]
    ImpossibleType(String),
    /// The handler's event type belongs to the other sender.
    #[error(
        "the event type {event_type:?} is sent by {sender}, and this receiver serves {receiver}: register it with the other receiver"
    )]
    OtherSender {
        /// The type.
        event_type: String,
        /// Who sends it.
        sender: Sender,
        /// Whom the receiver serves.
        receiver: Sender,
    },
    /// Neither a handler nor a fallback.
    #[error(
        "no handler is registered, so every event would be ignored: add one with `.on(handler)` or `.fallback(handler)`"
    )]
    Empty,
}

impl<H> Default for Routes<H> {
    fn default() -> Self {
        Self { by_type: HashMap::new(), fallback: None, senders: Vec::new(), error: None }
    }
}

impl<H> Routes<H> {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Routes the events of type `T::TYPE`.
    #[must_use]
    pub fn insert<T: EventData>(mut self, handler: H) -> Self {
        self.senders.push((T::SENDER, T::TYPE));
        self.insert_type(T::TYPE, handler)
    }

    /// Routes the events of a type by its name, as it stands in the body.
    #[must_use]
    pub fn insert_type(mut self, event_type: &str, handler: H) -> Self {
        if !crate::event::is_event_type(event_type) {
            self.error.get_or_insert(RouteError::ImpossibleType(event_type.to_owned()));
        }
        if self.by_type.insert(event_type.into(), handler).is_some() {
            self.error.get_or_insert(RouteError::Duplicate(event_type.to_owned()));
        }
        self
    }

    /// Routes the events of all other types.
    #[must_use]
    pub fn insert_fallback(mut self, handler: H) -> Self {
        if self.fallback.replace(handler).is_some() {
            self.error.get_or_insert(RouteError::TwoFallbacks);
        }
        self
    }

    /// Whether the routes make sense for a receiver of `receiver`'s events.
    ///
    /// # Errors
    ///
    /// The first mistake that was made.
    pub fn check(&self, receiver: Sender) -> Result<(), RouteError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let typed = self.senders.iter().copied();
        let named = self.by_type.keys().filter_map(|name| Some((EventKind::sender_of(name)?, &**name)));
        if let Some((sender, name)) = typed.chain(named).filter(|(sender, _)| *sender != receiver).min_by_key(|at| at.1)
        {
            return Err(RouteError::OtherSender { event_type: name.to_owned(), sender, receiver });
        }
        if self.by_type.is_empty() && self.fallback.is_none() {
            return Err(RouteError::Empty);
        }
        Ok(())
    }

    /// What handles events of this type; `None` if they are ignored.
    pub fn find(&self, event_type: &str) -> Option<&H> {
        self.by_type.get(event_type).or(self.fallback.as_ref())
    }

    /// The types that have a handler of their own.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(|event_type| &**event_type)
    }

    /// Whether a handler takes all other types.
    pub fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    /// The same routes with each handler transformed, as an adapter does to bind its state.
    pub fn map<G>(self, mut transform: impl FnMut(H) -> G) -> Routes<G> {
        Routes {
            by_type: self.by_type.into_iter().map(|(event_type, handler)| (event_type, transform(handler))).collect(),
            fallback: self.fallback.map(transform),
            senders: self.senders,
            error: self.error,
        }
    }
}

impl<H> fmt::Debug for Routes<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("types", &self.by_type.keys())
            .field("fallback", &self.fallback.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DocumentSigned, WebhookTest};

    /// Contract, section 8: exact match only; two handlers for one type are an error at build.
    #[test]
    fn mistakes_are_reported() {
        let check = |routes: Routes<u8>| routes.check(Sender::CIRCA);
        assert_eq!(check(Routes::new().insert::<WebhookTest>(1)), Ok(()));
        assert_eq!(check(Routes::new().insert_fallback(1)), Ok(()));
        assert_eq!(check(Routes::new()), Err(RouteError::Empty));
        let twice = Routes::new().insert::<WebhookTest>(1).insert_type("webhook.test", 2);
        assert_eq!(check(twice), Err(RouteError::Duplicate("webhook.test".to_owned())));
        assert_eq!(check(Routes::new().insert_fallback(1).insert_fallback(2)), Err(RouteError::TwoFallbacks));
        assert_eq!(check(Routes::new().insert_type("a b", 1)), Err(RouteError::ImpossibleType("a b".to_owned())));
        let other = |name: &str| {
            let (sender, receiver) = (Sender::CIRCULARO, Sender::CIRCA);
            Err(RouteError::OtherSender { event_type: name.to_owned(), sender, receiver })
        };
        assert_eq!(check(Routes::new().insert::<DocumentSigned>(1)), other("documentSigned"));
        assert_eq!(check(Routes::new().insert_type("documentCompleted", 1)), other("documentCompleted"));
        let circas = Routes::new().insert_type("datapoint.pulled", 1).insert_type("not.known.yet", 1);
        assert_eq!(check(circas), Ok(()));
    }

    #[test]
    fn types_match_exactly() {
        let routes = Routes::new().insert::<WebhookTest>(1);
        let cases =
            [("webhook.test", Some(&1)), ("webhook.test.extra", None), ("webhook", None), ("Webhook.Test", None)];
        for (event_type, handler) in cases {
            assert_eq!(routes.find(event_type), handler, "{event_type}");
        }
        assert_eq!(routes.insert_fallback(2).find("webhook"), Some(&2));
    }
}
