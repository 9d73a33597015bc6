//! The program of the guide's page "multi-user servers": one key, and end users who do not see each other's batches.
//! With no account it runs against an embedded gateway. `cargo run --example multi_user_servers`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{collections::HashMap, env, error::Error, sync::Mutex};

use lote::{Client, ClientBuilder, Dialect, UploadPurpose};
use lote_gateway::Gateway;

/// A client for each end user, made when it is first needed.
struct Clients {
    settings: ClientBuilder,
    of_users: Mutex<HashMap<String, Client>>,
}

impl Clients {
    fn new(settings: ClientBuilder) -> Self {
        Self { settings, of_users: Mutex::default() }
    }

    fn of(&self, user: &str) -> Result<Client, lote::Error> {
        let mut of_users = self.of_users.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(client) = of_users.get(user) {
            return Ok(client.clone());
        }
        let client = self.settings.clone().on_behalf_of(user).build()?;
        of_users.insert(user.to_owned(), client.clone());
        Ok(client)
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder().start().await?;
    let settings = match env::var("LOTE_API_KEY") {
        Ok(key) => Client::builder().api_key(key),
        Err(_) => Client::builder().base_url(gateway.url()).api_key("any"),
    };

    let clients = Clients::new(settings);
    let (ana, ben) = (clients.of("user-17")?, clients.of("user-18")?);

    let upload = ana.files().upload_reader(&b"{}\n"[..], "of-ana.jsonl", UploadPurpose::Batch);
    let file = upload.send().await?;
    let seen = ben.files().get(&file.id).await;
    assert!(seen.is_err_and(|error| error.is_not_found()));
    println!("{} is a file of ana, and for ben there is no such file", file.id);
    ana.files().delete(&file.id).await?;

    let openai = Client::builder().dialect(Dialect::named("openai")?).api_key("any").on_behalf_of("user-17").build();
    if let Err(error) = openai {
        println!("{error}");
        assert!(error.is_invalid());
    }
    Ok(())
}
