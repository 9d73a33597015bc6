//! HTTP written by hand to a blocking socket: as little as can be done.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Fallible;

const PIECE: usize = 256 << 10;

/// Host and path of a URL without TLS.
fn split(url: &str) -> Fallible<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or("no http URL")?;
    Ok(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

pub(crate) fn upload(url: &str, key: &str, path: &str) -> Fallible<()> {
    let (host, base) = split(url)?;
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let head = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"requests.jsonl\"\r\n\
                Content-Type: application/jsonl\r\n\r\n";
    let tail = "\r\n--b--\r\n";
    let length = head.len() as u64 + bytes + tail.len() as u64;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "POST {base}/files HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{head}"
    )?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => stream.write_all(&piece[..count])?,
        }
    }
    stream.write_all(tail.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200 ") || !answer.contains(&format!("\"bytes\":{bytes}")) {
        return Err(answer.into());
    }
    println!("{bytes} bytes");
    Ok(())
}

pub(crate) fn download(url: &str, key: &str, id: &str, to: &str) -> Fallible<()> {
    let (host, base) = split(url)?;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "GET {base}/files/{id}/content HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut answer = BufReader::with_capacity(PIECE, stream);
    let (mut line, mut length) = (String::new(), None);
    answer.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(line.into());
    }
    while line.trim_end() != "" {
        line.clear();
        answer.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = Some(value.trim().parse::<u64>()?);
        }
    }
    let length = length.ok_or("an answer without its length")?;
    let mut file = File::create(to)?;
    let mut piece = vec![0; PIECE];
    let mut rest = length;
    while rest > 0 {
        let most = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
        match answer.read(&mut piece[..most])? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => {
                file.write_all(&piece[..count])?;
                rest -= count as u64;
            }
        }
    }
    Ok(())
}
