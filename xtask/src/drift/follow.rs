//! How openapi.yaml follows a finding.

pub mod apply;
pub mod edit;
pub mod spans;
