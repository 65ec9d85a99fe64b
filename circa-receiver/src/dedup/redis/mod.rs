//! The store in Redis: shared by all replicas of a receiver, on one server or a cluster.
//!
//! One string per event, at one key, which expires by itself. Every operation is one script on that
//! key, by the server's clock.
//!
//! 1. `store`: the calls;
//! 2. `connection`: the connection that all calls share;
//! 3. `script`: runs a script by its hash. The scripts are the `.lua` files.

mod connection;
mod script;
mod store;

pub use store::RedisStore;
