//! An address where nobody listens.

use tokio::net::TcpSocket;
use url::Url;

/// Nobody listens at `url` for as long as this lives: the port is taken, so no other test can get it.
pub struct Nobody {
    pub url: Url,
    _socket: TcpSocket,
}

impl Nobody {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = Url::parse(&format!("http://{}", socket.local_addr().unwrap())).unwrap();
        Self { url, _socket: socket }
    }
}
