//! One call of a client: `peer socket|reqwest|async-openai upload|download|get URL …`.

mod openai;
mod with_reqwest;
mod with_socket;

use std::error::Error;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let key = std::env::var("OPENAI_API_KEY")?;
    if let ["socket", ref call @ ..] = args[..] {
        return match *call {
            ["upload", url, file] => with_socket::upload(url, &key, file),
            ["download", url, id, to] => with_socket::download(url, &key, id, to),
            _ => Err("socket upload URL FILE, or download URL ID TO".into()),
        };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args[..] {
            ["reqwest", "upload", url, file] => with_reqwest::upload(url, &key, file).await,
            ["reqwest", "download", url, id, to] => with_reqwest::download(url, &key, id, to).await,
            ["async-openai", "upload", url, file] => openai::upload(url, &key, file).await,
            ["async-openai", "download", url, id, to] => openai::download(url, &key, id, to).await,
            ["async-openai", "get", url, id] => openai::get(url, &key, id).await,
            _ => Err("no such call".into()),
        }
    })
}
