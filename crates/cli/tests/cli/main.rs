//! Owns the list of the process tests of `lote`: one module for each command. Never a test itself.

mod batches;
mod check;
mod common;
mod dialects;
mod examples;
mod files;
mod gateway;
mod help;
mod inspect;
mod join;
mod odd_services;
mod prepare;
mod readme;
mod run;
mod service;
