//! A recorded HTTP request in a file: request line, headers, an empty line, the exact body. Lines of the head end with LF
//! or CRLF.

use crate::providers::OwnedRequest;
use bytes::Bytes;

/// A request from a file.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) request: OwnedRequest,
    /// What its `Content-Length` says, if it is not the length of the body.
    pub(super) announced: Option<usize>,
}

/// Reads a recorded request. `app_url` stands before the path where the request line does not say it.
pub(super) fn read(bytes: &[u8], app_url: &str) -> Result<Recorded, String> {
    let mut rest = bytes;
    let mut lines = Vec::new();
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err("there is no empty line behind the headers".to_owned());
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let (first, headers) = lines.split_first().ok_or("the request line is missing")?;
    let first = std::str::from_utf8(first).map_err(|_| "the request line is no text".to_owned())?;
    let mut words = first.split(' ').filter(|word| !word.is_empty());
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err("the first line must be METHOD TARGET HTTP/1.1".to_owned());
    };
    let (base, target) = split_target(target)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut lines = Vec::new();
    for (number, line) in headers.iter().enumerate() {
        let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
        let colon = colon.ok_or_else(|| format!("line {} is no header", number + 2))?;
        let name = std::str::from_utf8(&line[..colon])
            .map_err(|_| format!("the header name of line {} is no text", number + 2))?;
        lines.push((name.trim().to_lowercase(), line[colon + 1..].trim_ascii().to_vec()));
    }
    let header = |wanted: &str| {
        let found = lines.iter().find(|(name, _)| name == wanted)?;
        std::str::from_utf8(&found.1).ok()
    };
    let mut bases: Vec<String> = base.into_iter().map(str::to_owned).collect();
    bases.push(app_url.trim_end_matches('/').to_owned());
    bases.extend(header("host").map(|host| format!("https://{host}")));
    let announced = header("content-length").and_then(|text| text.parse().ok());
    Ok(Recorded {
        announced: announced.filter(|length| *length != rest.len()),
        request: OwnedRequest {
            method: method.to_owned(),
            bases,
            path: path.to_owned(),
            path_token: None,
            query: query.to_owned(),
            headers: lines,
            body: Bytes::copy_from_slice(rest),
        },
    })
}

/// What stands before the path, if the target says it, and the target from its path on.
fn split_target(target: &str) -> Result<(Option<&str>, &str), String> {
    if target.starts_with('/') {
        return Ok((None, target));
    }
    let after = target.find("://").ok_or("the target must be a path, or a URL")? + 3;
    let path = target[after..].find(['/', '?']).map_or(target.len(), |at| after + at);
    Ok((Some(&target[..path]), &target[path..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_line_ends_give_the_same_request_and_the_body_is_exact() {
        for end in ["\n", "\r\n"] {
            let text =
                format!("POST /a/b?c=d HTTP/1.1{end}Host: h.example{end}X-A:  b {end}x-a: c{end}{end}");
            let bytes = [text.as_bytes(), b"{\r\n\xff\n"].concat();
            let Recorded { request, announced } = read(&bytes, "http://localhost:8080/").unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a/b"));
            assert_eq!((request.query.as_str(), announced), ("c=d", None));
            assert_eq!(request.bases, ["http://localhost:8080", "https://h.example"]);
            assert_eq!(request.headers[1], ("x-a".to_owned(), b"b".to_vec()));
            assert_eq!(request.headers[2], ("x-a".to_owned(), b"c".to_vec()));
            assert_eq!(&request.body[..], b"{\r\n\xff\n");
        }
    }

    #[test]
    fn a_whole_url_says_its_base_and_a_wrong_length_is_noticed() {
        let read = |text: &str| read(text.as_bytes(), "http://a").unwrap();
        let recorded = read("POST https://h.example:8443/p HTTP/1.1\ncontent-length: 2\n\n{}\n");
        assert_eq!(recorded.request.bases, ["https://h.example:8443", "http://a"]);
        assert_eq!((recorded.request.path.as_str(), recorded.announced), ("/p", Some(2)));
        assert_eq!(read("POST /p\ncontent-length: 2\n\n{}").announced, None);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in
            ["", "POST /", "POST /\nX: y\n", "\n", "POST\n\n", "POST /\nnonsense\n\n", "POST nowhere\n\n"]
        {
            assert!(read(text.as_bytes(), "http://a").is_err(), "{text:?}");
        }
    }
}
