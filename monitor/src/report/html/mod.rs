//! The page: what is essential as plain HTML, all accesses as data that a small script shows by pages.

mod actors;
mod data;
mod doors;
mod gaps;
mod page;
mod posture;
mod summary;
mod timeline;
mod written;

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use self::page::Html;
use super::gather::Collected;
use super::input::Input;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

pub fn write(out: &mut dyn Write, inputs: &[Input], collected: &Collected) -> io::Result<()> {
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        out.write_all(before.as_bytes())?;
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        part(out, name, inputs, collected)?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

fn part(out: &mut dyn Write, name: &str, inputs: &[Input], collected: &Collected) -> io::Result<()> {
    let section = match name {
        "style_hash" => return write!(out, "sha256-{}", hash(STYLE)),
        "script_hash" => return write!(out, "sha256-{}", hash(SCRIPT)),
        "style" => return out.write_all(STYLE.as_bytes()),
        "script" => return out.write_all(SCRIPT.as_bytes()),
        "data" => return data::write(out, inputs, collected),
        "head" => summary::head,
        "summary" => summary::summary,
        "doors" => doors::doors,
        "timeline" => timeline::timeline,
        "actors" => actors::actors,
        "pods" => actors::pods,
        "manifests" => written::manifests,
        "posture" => posture::posture,
        "gaps" => gaps::gaps,
        _ => gaps::inputs,
    };
    let mut html = Html::default();
    section(&mut html, &Page { inputs, collected });
    out.write_all(html.0.as_bytes())
}

/// What every section is made of.
struct Page<'a> {
    inputs: &'a [Input],
    collected: &'a Collected,
}

/// What Content-Security-Policy knows the one style and the one script by.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}
