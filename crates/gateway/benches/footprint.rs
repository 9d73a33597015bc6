//! Measures what a gateway costs in memory: thousands of idle connections and one large upload at
//! once. Prints the peak; Linux only, elsewhere it prints that it cannot.
//!
//! `cargo bench -p lote-gateway --bench footprint [-- CONNECTIONS MEGABYTES]`, by default 10,000
//! and 2,000. Both this process and the gateway's need as many open files as there are connections
//! (`ulimit -n`).

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Set in the process that is the gateway.
const ROLE: &str = "LOTE_FOOTPRINT_SERVER";

fn main() -> io::Result<()> {
    if std::env::var_os(ROLE).is_some() {
        return serve();
    }
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let connections = numbers.first().copied().unwrap_or(10_000);
    let megabytes = numbers.get(1).copied().unwrap_or(2_000);

    let mut server =
        Command::new(std::env::current_exe()?).env(ROLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let result = measure(&mut server, connections, megabytes);
    // Its input ends, so it stops and takes its temporary files with it.
    drop(server.stdin.take());
    server.wait()?;
    result
}

/// The gateway, until its standard input ends.
fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = lote_gateway::Gateway::builder().max_upload_bytes(u64::MAX / 2).start().await?;
        println!("{}", gateway.addr());
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
        gateway.shutdown().await;
        Ok(())
    })
}

fn measure(server: &mut Child, connections: u64, megabytes: u64) -> io::Result<()> {
    let mut addr = String::new();
    let stdout = server.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    BufReader::new(stdout).read_line(&mut addr)?;
    let addr = addr.trim();
    let started = peak(server.id());

    // Each has been served once, and is kept open.
    let mut idle = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(addr)?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let _ = stream.read(&mut [0; 4096])?;
        idle.push(stream);
    }
    let connected = peak(server.id());

    let before = Instant::now();
    upload(addr, megabytes)?;
    let seconds = before.elapsed().as_secs_f64();
    let uploaded = peak(server.id());

    let show = |kib: Option<u64>| kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("peak memory of the gateway");
    println!("  started:                      {}", show(started));
    println!("  with {connections} idle connections:  {}", show(connected));
    println!("  after uploading {megabytes} MB too:   {} ({seconds:.1} s)", show(uploaded));
    Ok(())
}

fn upload(addr: &str, megabytes: u64) -> io::Result<()> {
    let head = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    let tail = "\r\n--b--\r\n";
    let length = head.len() as u64 + megabytes * 1_000_000 + tail.len() as u64;
    let mut stream = TcpStream::connect(addr)?;
    write!(
        stream,
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{head}"
    )?;
    let chunk = vec![b'x'; 1_000_000];
    for _ in 0..megabytes {
        stream.write_all(&chunk)?;
    }
    stream.write_all(tail.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(answer)) }
}

/// The most memory that a process has had so far, in KiB.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
