//! Owns a TCP proxy that a test puts between the server and its database, to cut the line or to let it go silent.
//!
//! Never looks at what passes.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Passes everything.
    Up,
    /// Every connection ends at once, new ones too.
    Cut,
    /// Connections stay and take bytes, but nothing passes.
    Silent,
}

/// The proxy; gone with the test's runtime.
#[derive(Debug)]
pub(crate) struct Chaos {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Chaos {
    /// In front of this address.
    pub(crate) async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, line) = (listener.local_addr().unwrap(), watch::Sender::new(Line::Up));
        let sender = line.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(client, target.clone(), sender.subscribe()));
            }
        });
        Self { address, line }
    }

    /// From now on.
    pub(crate) fn goes(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn connection(client: TcpStream, target: String, mut line: watch::Receiver<Line>) {
    let mut cut = line.clone();
    let passes = async {
        if line.wait_for(|line| *line == Line::Up).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect(&target).await else { return };
        let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
        tokio::select! {
            () = copy(client_reads, server_writes, line.clone()) => {}
            () = copy(server_reads, client_writes, line.clone()) => {}
        }
    };
    tokio::select! {
        () = passes => {}
        _ = cut.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, mut line: watch::Receiver<Line>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || line.wait_for(|line| *line == Line::Up).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
