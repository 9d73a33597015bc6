//! Stub.
#![allow(missing_docs, clippy::allow_attributes, dead_code)]
use std::{collections::BTreeMap, fmt, io, path::{Path, PathBuf}};
use serde::{Deserialize, Serialize};
use crate::lines::{CheckOptions, Checked, Finding, FindingGroups};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut { pub lines: u64, pub bytes: u64, pub inputs: Option<u64>, pub one_model: bool }
impl fmt::Display for Cut { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{} lines, {} bytes", self.lines, self.bytes) } }
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardPlan { pub number: u32, pub endpoint: String, pub model: Option<String>, pub lines: u64, pub bytes: u64, pub inputs: u64, pub sha256: String }
pub(super) trait Shards { type Out: io::Write; fn begin(&mut self, number: u32) -> io::Result<Self::Out>; fn finish(&mut self, number: u32, out: Self::Out) -> io::Result<()>; }
pub(super) struct SourceRead { pub path: PathBuf, pub bytes: u64, pub sha256: String, pub lines: u64 }
pub(super) struct Planned { pub shards: Vec<ShardPlan>, pub checked: Checked, pub sources: Vec<SourceRead>, pub in_order: bool }
#[derive(Debug)]
pub struct SourceFindings { pub source: PathBuf, pub findings: Vec<Finding>, pub groups: FindingGroups }
pub(super) enum PlanError { Input { checked: Checked, sources: Vec<SourceFindings> }, Io { doing: String, path: PathBuf, error: io::Error } }
pub(super) fn plan(sources: &[PathBuf], options: &CheckOptions, cut: &Cut, limit: Option<u64>, spill: &Path, shards: &mut impl Shards, order: &mut dyn io::Write, wanted: &dyn Fn() -> bool) -> Result<Planned, PlanError> { let _ = (sources, options, cut, limit, spill, shards, order, wanted); let _: BTreeMap<u8,u8>; todo!() }
