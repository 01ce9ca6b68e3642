//! How commands print: aligned tables for people, JSON for scripts.

use comfy_table::{ContentArrangement, Table};
use serde_json::Value;
use std::io::Write as _;

/// Prints rows under a header, or `items` as JSON.
pub fn print_table(json: bool, header: &[&str], rows: Vec<Vec<String>>, items: &Value) {
    if json {
        return print(&format!("{items:#}"));
    }
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // comfy-table pads the last column; trailing blanks are a nuisance to whoever copies a line.
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    print(&lines.join("\n"));
}

/// Prints text and a line end. Whoever closes the pipe early (`| head`) has read enough: that is no error.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
