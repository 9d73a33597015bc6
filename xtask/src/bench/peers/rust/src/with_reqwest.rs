//! reqwest, with a file that a thread of its own reads 256 KiB at a time.

use std::fs::File;
use std::io::{Read, Write};

use futures_util::StreamExt;
use futures_util::stream;
use reqwest::{Body, Client, multipart};

use crate::Fallible;

const PIECE: usize = 256 << 10;

pub(crate) async fn upload(url: &str, key: &str, path: &str) -> Fallible<()> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let (send, receive) = tokio::sync::mpsc::channel::<std::io::Result<Vec<u8>>>(2);
    let reader = tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece);
            let end = matches!(read, Ok(0) | Err(_));
            piece.truncate(*read.as_ref().unwrap_or(&0));
            if (read.is_err() || !piece.is_empty()) && send.blocking_send(read.map(|_| piece)).is_err() || end {
                break;
            }
        }
    });
    let pieces = stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    let part = multipart::Part::stream_with_length(Body::wrap_stream(pieces), bytes)
        .file_name("requests.jsonl")
        .mime_str("application/jsonl")?;
    let form = multipart::Form::new().text("purpose", "batch").part("file", part);
    let answer = Client::new().post(format!("{url}/files")).bearer_auth(key).multipart(form).send().await?;
    let answer = answer.error_for_status()?.text().await?;
    reader.await?;
    if !answer.contains(&format!("\"bytes\":{bytes}")) {
        return Err(answer.into());
    }
    println!("{bytes} bytes");
    Ok(())
}

pub(crate) async fn download(url: &str, key: &str, id: &str, to: &str) -> Fallible<()> {
    let answer = Client::new().get(format!("{url}/files/{id}/content")).bearer_auth(key).send().await?;
    let mut pieces = answer.error_for_status()?.bytes_stream();
    let mut file = File::create(to)?;
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?)?;
    }
    Ok(())
}
