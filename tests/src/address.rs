//! A reserved address, for servers that run one after the other and must be reached at the same address.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

/// An address of the loopback interface that stays reserved while this lives.
///
/// Its socket is bound and never listens. So the kernel gives its port to nobody who asks for a free one, refuses
/// connections to it, and still lets servers listen there, one after the other, since they set the option to reuse
/// addresses.
#[derive(Debug)]
pub struct ReservedAddress {
    text: String,
    _socket: TcpSocket,
}

impl ReservedAddress {
    /// Reserves a free address.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("there is IPv4");
        socket.set_reuseaddr(true).expect("a new socket takes options");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        Self { text: socket.local_addr().expect("it is bound").to_string(), _socket: socket }
    }

    /// The address, as `IP:PORT`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for ReservedAddress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn one_server_after_the_other_has_it_and_nobody_else() {
        let reserved = ReservedAddress::new();
        for _ in 0..3 {
            assert!(TcpStream::connect(reserved.as_str()).is_err());
            let server = TcpListener::bind(reserved.as_str()).unwrap();
            TcpStream::connect(reserved.as_str()).unwrap();
            server.accept().unwrap();
        }
        let others: Vec<_> = (0..100).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap().to_string() != reserved.as_str()));
    }
}
