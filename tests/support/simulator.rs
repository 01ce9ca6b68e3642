//! What the simulators of upstreams have in common: a server of its own on a loopback port, and a list of requests that
//! no correct client makes, which fails the test.

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What answers a request. The lock is not held while a reply is delayed.
pub trait Upstream: Default + Send + 'static {
    /// The reply, and what is wrong with the request if no correct client makes it.
    fn answer(&mut self, request: &HttpRequest, body: &[u8]) -> HttpResponse;
    /// How long replies take.
    fn latency(&self) -> Duration;
    /// Requests that no correct client makes, so far.
    fn violations(&self) -> &[String];
}

/// A running simulator.
pub struct Simulator<U: Upstream> {
    pub url: String,
    state: Arc<Mutex<U>>,
    server: ServerHandle,
}

impl<U: Upstream> Simulator<U> {
    pub fn start() -> Self {
        let state = Arc::<Mutex<U>>::default();
        let shared = Data::from(state.clone());
        let (sender, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(shared.clone()).default_service(web::to(answer::<U>))
                })
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).unwrap();
                let _ = server.await;
            });
        });
        let (address, server) = started.recv().unwrap();
        Self { url: format!("http://{address}"), state, server }
    }

    pub fn state(&self) -> MutexGuard<'_, U> {
        self.state.lock().unwrap()
    }
}

impl<U: Upstream> Drop for Simulator<U> {
    fn drop(&mut self) {
        // The future only waits for the end; the command is sent at once.
        drop(self.server.stop(false));
        if !std::thread::panicking() {
            let violations = self.state().violations().to_vec();
            assert!(violations.is_empty(), "requests that no correct client makes: {violations:#?}");
        }
    }
}

async fn answer<U: Upstream>(request: HttpRequest, body: Bytes, state: Data<Mutex<U>>) -> HttpResponse {
    // A slow answer tells what was true when the request came.
    let (reply, latency) = {
        let mut state = state.lock().unwrap();
        (state.answer(&request, &body), state.latency())
    };
    tokio::time::sleep(latency).await;
    reply
}

/// The value of a header, if it is text.
pub fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}
