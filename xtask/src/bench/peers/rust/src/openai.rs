//! async-openai, as its examples show it.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::files::{CreateFileRequestArgs, FilePurpose};

use crate::Fallible;

fn client(url: &str, key: &str) -> Client<OpenAIConfig> {
    Client::with_config(OpenAIConfig::new().with_api_base(url).with_api_key(key))
}

pub(crate) async fn upload(url: &str, key: &str, path: &str) -> Fallible<()> {
    let request = CreateFileRequestArgs::default().file(path).purpose(FilePurpose::Batch).build()?;
    let bytes = client(url, key).files().create(request).await?.bytes.ok_or("an answer without bytes")?;
    println!("{bytes} bytes");
    Ok(())
}

pub(crate) async fn download(url: &str, key: &str, id: &str, to: &str) -> Fallible<()> {
    let content = client(url, key).files().content(id).await?;
    std::fs::write(to, content)?;
    Ok(())
}

pub(crate) async fn get(url: &str, key: &str, id: &str) -> Fallible<()> {
    println!("{}", client(url, key).batches().retrieve(id).await?.id);
    Ok(())
}
