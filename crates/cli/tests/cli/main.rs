//! Owns the list of the process tests of `lote`: one module for each command. Never a test itself.

#[cfg(unix)]
mod anew;
mod ask;
mod batches;
#[cfg(unix)]
mod beside;
mod check;
mod clean;
#[cfg(unix)]
mod colours;
#[cfg(unix)]
mod commands;
mod common;
mod config;
mod dedupe;
mod dialects;
#[cfg(unix)]
mod early;
mod examples;
mod expect;
mod export;
mod export_cost;
mod export_outcomes;
mod files;
mod folder;
mod gateway;
#[cfg(unix)]
mod held;
mod help;
mod inspect;
mod interface;
#[cfg(target_os = "linux")]
mod interrupted;
mod join;
mod lists;
#[cfg(target_os = "linux")]
mod memory;
mod no_batches;
mod odd_services;
mod partial;
#[cfg(unix)]
mod parts;
mod plan;
mod prepare;
#[cfg(unix)]
mod pty;
mod readme;
#[cfg(unix)]
mod repair;
mod report;
#[cfg(unix)]
mod resume;
mod run;
#[cfg(unix)]
mod said;
#[cfg(unix)]
mod screens;
mod service;
mod settings;
#[cfg(unix)]
mod shell;
mod show;
#[cfg(unix)]
mod status;
mod stdin;
mod sync;
mod table;
mod templates;
#[cfg(unix)]
mod temporary;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod told;
mod within;
mod words;
