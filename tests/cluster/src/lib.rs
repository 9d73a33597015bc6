//! Servers for the tests: PostgreSQL, S3, and a connection that breaks where a test wants it to.
#![forbid(unsafe_code)]

pub mod consistency;
mod postgres;
mod proxy;
mod s3;

pub use postgres::{Encrypted, Postgres};
pub use proxy::{Fault, Proxy};
pub use s3::{BUCKET, S3};
