//! How commands print: aligned tables for people, JSON for scripts.

use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

/// Prints rows under a header, or `items` as JSON.
pub fn print_table(json: bool, header: &[&str], rows: Vec<Vec<String>>, items: &Value) {
    if json {
        println!("{items:#}");
        return;
    }
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    // comfy-table pads the last column; trailing blanks are a nuisance to whoever copies a line.
    for line in table.to_string().lines() {
        println!("{}", line.trim_end());
    }
}
