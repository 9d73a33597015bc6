//! What is said of a service that has no batch API: what makes one of it, and what needs none.

use lote::Error;

use crate::service::ServiceArgs;
use crate::shell::CommandLine;

/// What is said below the error of an upload or a create, of this input file, if the service answered as one without a
/// batch API does. A 404 that names the file is about that.
pub(crate) fn lines(service: &ServiceArgs, error: &Error, input_file: Option<&str>) -> Vec<String> {
    let text = error.to_string();
    let lacks = match error.status() {
        Some(405 | 501) => true,
        Some(404) => error.code().is_none() && input_file.is_none_or(|id| !said_of(&text).contains(id)),
        _ => is_no_file(error),
    };
    if !lacks {
        return Vec::new();
    }
    vec![
        SEEMS.to_owned(),
        "  lote run REQUESTS --sync sends the lines one by one, each answered at once, without a batch".to_owned(),
        gateway(service),
    ]
}

/// What is said where the error itself does not say it.
pub(crate) const SEEMS: &str = "  the service seems to have no batch API, if that is its base URL";

/// Whether an upload was answered with a success that is no file, as LM Studio does to what it does not know.
pub(crate) fn is_no_file(error: &Error) -> bool {
    error.is_undecodable() && error.to_string().ends_with("this is no file")
}

/// What the service said, behind what we were doing.
fn said_of(text: &str) -> &str {
    text.split_once("the service answered").map_or("", |(_, said)| said)
}

/// The command that makes a batch API of a service that answers requests one by one.
pub(crate) fn gateway(service: &ServiceArgs) -> String {
    let url = service.keyless().map(|client| client.base_url().to_owned());
    let upstream = url.ok().filter(|url| url.ends_with("/v1")).unwrap_or_else(|| "URL".to_owned());
    let gateway = CommandLine::new("gateway").flag("--upstream", upstream);
    format!("  {gateway}  # makes a batch API of it, at http://127.0.0.1:8787/v1")
}
