//! What is wrong with a table, and where.

use std::ops::Range;

/// Why a table cannot be used. Names file, line and field, never a value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SchemeError {
    /// Name of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: Option<usize>,
    /// The key at fault.
    pub field: Option<String>,
    /// What is wrong with it.
    pub message: String,
}

impl std::fmt::Display for SchemeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", `{field}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl SchemeError {
    /// An error at a place of `text`, whose line and key are looked up there.
    pub(super) fn at(file: &str, text: &str, span: Option<Range<usize>>, message: String) -> Self {
        let at = span.map(|span| span.start.min(text.len()));
        let line = at.and_then(|at| Some(text.get(..at)?.matches('\n').count() + 1));
        let field = line.and_then(|line| {
            let line = text.lines().nth(line - 1)?.trim();
            // A line without a key may be a value of a list.
            let key = match line.split_once('=') {
                Some((key, _)) => key.trim(),
                None if line.starts_with('[') => line.trim_matches(['[', ']']),
                None => return None,
            };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            (!key.is_empty() && key.len() < 100 && key.bytes().all(plain)).then(|| key.to_owned())
        });
        let secret = field.as_deref().is_some_and(|field| field == "secret");
        let message = if secret { "it must be text in quotes".to_owned() } else { message };
        Self { file: file.to_owned(), line, field, message }
    }

    /// What the reader of TOML says, without the value that it quotes.
    pub(super) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Self::at(file, text, error.span(), without_value(error.message()))
    }

    pub(super) fn new(file: &str, field: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, field: Some(field.to_owned()), message: message.into() }
    }
}

/// `invalid type: string "…", expected a sequence` without what is quoted: it stands where a secret may stand.
fn without_value(message: &str) -> String {
    let kinds = ["invalid type", "invalid value", "unknown variant"];
    match (kinds.iter().find(|kind| message.starts_with(**kind)), message.rfind(", expected ")) {
        (Some(kind), Some(at)) => format!("{kind}{}", &message[at..]),
        (Some(kind), None) => (*kind).to_owned(),
        (None, _) => message.to_owned(),
    }
}
