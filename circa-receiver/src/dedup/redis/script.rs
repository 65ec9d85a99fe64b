//! The scripts: each is one atomic step on one key, so that they run on a cluster as they do on one
//! server.

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind, ToRedisArgs, aio::ConnectionLike};

/// A script and its hash, by which the server knows it once it has run there.
pub(super) struct Stored {
    code: &'static str,
    hash: String,
}

impl Stored {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, hash: Script::new(code).get_hash().to_owned() }
    }

    /// A call, to be run as often as needed.
    pub(super) fn call(&self, key: Vec<u8>) -> Call<'_> {
        Call { script: self, key, arguments: Vec::new() }
    }
}

/// A script with its key and its arguments.
pub(super) struct Call<'a> {
    script: &'a Stored,
    key: Vec<u8>,
    arguments: Vec<Vec<u8>>,
}

impl Call<'_> {
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// Runs the script by its hash; a server that does not know it, as after a restart, is sent the
    /// code. Not `SCRIPT LOAD` first: on a cluster that would ask every node, and fail where one is
    /// down.
    pub(super) async fn run<T: FromRedisValue>(&self, connection: &mut impl ConnectionLike) -> RedisResult<T> {
        match self.command("EVALSHA", &self.script.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", self.script.code).query_async(connection).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = Cmd::new();
        command.arg(name).arg(script).arg(1).arg(&self.key).arg(&self.arguments);
        command
    }
}
