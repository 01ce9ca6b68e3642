//! An HTTP server that misbehaves on demand. Written on bare TCP, since a proper server library would not let it.

use super::gate::Gate;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// What to do about one request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answer, after a delay.
    Answer(Answer),
    /// Read the request and stay silent until the client goes.
    Silence,
    /// Read the request and close the connection.
    HangUp,
    /// Promise more bytes than are sent, then close the connection.
    CutBody,
    /// Promise more bytes than are sent, then stay silent.
    StallBody,
    /// Send something that is no HTTP.
    Garbage,
}

/// A canned reply.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
    chunked: bool,
    closing: bool,
    gate: Gate,
    delay: Duration,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            body: Vec::new(),
            chunked: false,
            closing: false,
            gate: Gate::opened(),
            delay: Duration::ZERO,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.headers, "{name}: {value}\r\n").unwrap();
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Compresses the body and says so.
    pub fn gzip(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.header("Content-Encoding", "gzip")
    }

    /// The body is sent as it is, as chunks, and not ended.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self.header("Transfer-Encoding", "chunked")
    }

    /// Closes the connection afterwards without having said so.
    pub fn closing(mut self) -> Self {
        self.closing = true;
        self
    }

    /// Not before the gate is open.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = gate.clone();
        self
    }

    /// Later by so much.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<Answer> for Act {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which request of this server, from 1.
    pub number: usize,
    /// When its last byte was there.
    pub at: Instant,
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| &*header.1)
    }
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// Runs until dropped.
pub struct FaultyServer {
    pub url: Url,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

impl FaultyServer {
    /// Starts it; `script` says what happens to each request.
    pub async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            // Aborted with this task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let shared = shared.clone();
                connections.spawn(async move {
                    serve(stream, &shared).await;
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, state, accepting }
    }

    /// Requests so far, in the order of their arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub fn requests(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Most requests that were being answered at one time.
    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }

    /// Begins to look for the most anew.
    pub fn forget_most_in_flight(&self) {
        self.state.most_in_flight.store(0, Ordering::SeqCst);
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, state: &State) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream).await {
        let act = {
            let mut seen = state.seen.lock().unwrap();
            request.number = seen.len() + 1;
            seen.push(request.clone());
            (state.script)(&request)
        };
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let open = answer(&mut stream, act, state).await;
        if !open {
            return;
        }
    }
}

/// Gives whether the connection stays open.
async fn answer(stream: &mut BufReader<TcpStream>, act: Act, state: &State) -> bool {
    let (text, stays) = match act {
        Act::Answer(Answer { status, mut headers, body, chunked, closing, gate, delay }) => {
            gate.pass().await;
            tokio::time::sleep(delay).await;
            if !chunked {
                write!(headers, "Content-Length: {}\r\n", body.len()).unwrap();
            }
            let mut text = format!("HTTP/1.1 {status} x\r\n{headers}\r\n").into_bytes();
            text.extend(body);
            (text, !closing)
        }
        Act::CutBody => (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":".to_vec(), false),
        Act::Garbage => (b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec(), false),
        Act::HangUp => (Vec::new(), false),
        Act::StallBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":").await;
            wait_for_the_client_to_go(stream).await;
            (Vec::new(), false)
        }
        Act::Silence => {
            wait_for_the_client_to_go(stream).await;
            (Vec::new(), false)
        }
    };
    // Before the bytes go out: the client may act on them before this task runs again.
    state.in_flight.fetch_sub(1, Ordering::SeqCst);
    stream.write_all(&text).await.is_ok() && stays
}

async fn wait_for_the_client_to_go(stream: &mut BufReader<TcpStream>) {
    while stream.read_u8().await.is_ok() {}
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut seen = Seen { number: 0, at: Instant::now(), method, target, headers, body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    seen.at = Instant::now();
    Some(seen)
}
