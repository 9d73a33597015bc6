//! An S3 server in the test's process, over a temporary folder.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket that is there.
pub const BUCKET: &str = "lote";

const KEY: &str = "AKEXAMPLE";
const SECRET: &str = "a-secret-of-the-tests";

pub struct S3 {
    folder: TempDir,
    port: u16,
    server: JoinHandle<()>,
}

impl S3 {
    pub async fn start() -> S3 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // An error is a connection that a test has cut.
                    drop(builder.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        S3 { folder, port, server }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder in which the bucket is.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// How it is reached on this port: its own, or that of a proxy.
    pub fn environment(port: u16) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}
