//! What a server needs beside the receivers.

mod readiness;
