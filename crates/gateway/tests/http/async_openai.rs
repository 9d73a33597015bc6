//! The client async-openai as it is published, from upload to delete. The official clients in other languages are run by
//! tests/clients.

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::traits::RequestOptionsBuilder;
use async_openai::types::InputSource;
use async_openai::types::batches::{
    Batch, BatchCompletionWindow, BatchEndpoint, BatchFileExpirationAfter, BatchFileExpirationAnchor, BatchRequest,
    BatchRequestOutput, BatchStatus,
};
use async_openai::types::files::{
    CreateFileRequest, FileExpirationAfter, FileExpirationAfterAnchor, FileInput, FilePurpose, OpenAIFilePurpose,
};
use bytes::Bytes;
use lote_gateway::Gateway;

use crate::common::{MKA1, OPENAI, PREFIXES, chats, http, start};
use crate::wire::Watched;

fn client(gateway: &Watched, prefix: &str) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new()
        .with_api_base(format!("{}{prefix}", gateway.url()))
        .with_api_key("sk-test")
        .with_org_id("org-1")
        .with_project_id("proj-1");
    let http = http();
    Client::with_config(config).with_http_client(http)
}

fn file(content: String) -> CreateFileRequest {
    let source = InputSource::Bytes { filename: "requests.jsonl".to_owned(), bytes: Bytes::from(content) };
    CreateFileRequest {
        file: FileInput { source },
        purpose: FilePurpose::Batch,
        expires_after: Some(FileExpirationAfter { anchor: FileExpirationAfterAnchor::CreatedAt, seconds: 3_600 }),
    }
}

async fn create(client: &Client<OpenAIConfig>, content: String) -> Batch {
    let input = client.files().create(file(content)).await.unwrap();
    let request = BatchRequest {
        input_file_id: input.id,
        endpoint: BatchEndpoint::V1ChatCompletions,
        completion_window: BatchCompletionWindow::W24H,
        metadata: None,
        output_expires_after: Some(BatchFileExpirationAfter {
            anchor: BatchFileExpirationAnchor::CreatedAt,
            seconds: 7_200,
        }),
    };
    client.batches().create(request).await.unwrap()
}

async fn lines(client: &Client<OpenAIConfig>, file_id: Option<String>) -> Vec<BatchRequestOutput> {
    let content = client.files().content(&file_id.unwrap()).await.unwrap();
    let text = std::str::from_utf8(&content).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn from_upload_to_delete() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().virtual_clock()).await;
        let client = client(&gateway, prefix);
        let created = create(&client, chats(["What is 6*7?", "[[status=429]]", "[[sleep=1000]]"])).await;
        assert_eq!(created.status, BatchStatus::Validating);
        assert_eq!(client.batches().retrieve(&created.id).await.unwrap().status, BatchStatus::InProgress);
        gateway.advance(Duration::from_secs(1)).await;
        let batch = client.batches().retrieve(&created.id).await.unwrap();
        assert_eq!(batch.status, BatchStatus::Completed);
        let counts = batch.request_counts.unwrap();
        assert_eq!((counts.total, counts.completed, counts.failed), (3, 2, 1));
        assert_eq!(batch.usage.is_some(), prefix == OPENAI);

        let output = lines(&client, batch.output_file_id.clone()).await;
        let first = output.iter().find(|line| line.custom_id == "r-0").unwrap().response.as_ref().unwrap();
        assert!(first.body["choices"][0]["message"]["content"].as_str().unwrap().starts_with("42"), "{first:?}");
        let errors = lines(&client, batch.error_file_id).await;
        assert_eq!((errors.len(), errors[0].response.as_ref().unwrap().status_code), (1, 429));

        let query = [("limit", "1")];
        let page = client.batches().query(&query).unwrap().list().await.unwrap();
        assert_eq!((page.data[0].id.as_str(), page.has_more), (created.id.as_str(), false));
        let files = client.files().list().await.unwrap();
        assert_eq!(files.data.len(), 3);
        let output = client.files().retrieve(&batch.output_file_id.unwrap()).await.unwrap();
        assert_eq!(output.purpose, OpenAIFilePurpose::BatchOutput);
        assert_eq!(output.expires_at, Some(output.created_at + 7_200));
        assert!(client.files().delete(&created.input_file_id).await.unwrap().deleted);
        let gone = client.files().retrieve(&created.input_file_id).await.unwrap_err();
        assert!(gone.to_string().contains("No such File object"), "{gone}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_an_error_that_it_can_read() {
    let gateway = start(Gateway::builder().virtual_clock()).await;
    let client = client(&gateway, MKA1);
    let failed = create(&client, "not json\n".to_owned()).await;
    let failed = client.batches().retrieve(&failed.id).await.unwrap();
    let error = failed.errors.unwrap().data.remove(0);
    assert_eq!((failed.status, error.code.as_str(), error.line), (BatchStatus::Failed, "invalid_json_line", Some(1)));

    let slow = create(&client, chats(["[[sleep=60000]]"])).await;
    assert_eq!(client.batches().cancel(&slow.id).await.unwrap().status, BatchStatus::Cancelling);
    gateway.advance(Duration::from_secs(1)).await;
    assert_eq!(client.batches().retrieve(&slow.id).await.unwrap().status, BatchStatus::Cancelled);
    let conflict = client.batches().cancel(&slow.id).await.unwrap_err();
    assert!(matches!(conflict, OpenAIError::ApiError(_)), "{conflict:?}");
    assert!(conflict.to_string().contains("Cannot cancel a batch with status 'cancelled'."), "{conflict}");
}
