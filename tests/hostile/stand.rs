//! Whether a site stands as it stood before an attack.

use portcullis::dev::people;
use tokio::io::AsyncWriteExt as _;

use crate::site::{Reply, SECRET, Site, eventually};
use crate::wire::Wire;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It ends, and what was behind the attack is never read.
    Ends,
    /// It goes on behind the attack.
    GoesOn,
    /// It ends, or it goes on behind the attack.
    Either,
}

impl Wire {
    /// Asks if the connection is still open; `None` if it has ended, or ends without an answer.
    pub(crate) async fn try_ask(&mut self, bytes: impl AsRef<[u8]>) -> Option<Reply> {
        let written = self.stream.write_all(bytes.as_ref()).await;
        written.and(self.stream.flush().await).ok()?;
        self.try_answer().await
    }
}

impl Site {
    /// `text` with an administrator's `Host` and `Authorization` for `{H}`, somebody's who may do
    /// nothing for `{N}`, and for `{GET}` a request that would be allowed.
    pub(crate) fn written(&self, text: &str) -> String {
        let lines = |person| {
            let (host, token) = (self.host(), self.token(person));
            format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n")
        };
        let admin = lines(people::ADMIN);
        let get = format!("GET {SECRET} HTTP/1.1\r\n{admin}\r\n");
        text.replace("{GET}", &get)
            .replace("{H}", &admin)
            .replace("{N}", &lines(people::NOBODY))
    }

    /// Nothing has reached the vault since the last check, and an honest request on a connection of
    /// its own does.
    pub(crate) async fn stands(&self, attack: &str) {
        let reached: Vec<_> = self.news();
        assert!(
            reached.is_empty(),
            "{attack:?} reached the vault: {reached:?}"
        );
        self.works(attack).await;
    }

    /// An honest request on a connection of its own is answered by the vault.
    pub(crate) async fn works(&self, attack: &str) {
        self.news();
        let reply = self.get(people::ADMIN, SECRET).await;
        assert_eq!(reply.status, 200, "after {attack:?}: {reply:?}");
        let reached = self.news();
        let honest = reached
            .iter()
            .filter(|entry| entry.path_and_query == SECRET);
        assert_eq!(honest.count(), 1, "after {attack:?}: {reached:?}");
    }

    /// Refused before it became a request: 400 without a word, the end of the connection, counted
    /// as `defect`, and no record, because there was nothing to decide on.
    pub(crate) async fn is_malformed(&self, attack: &str, defect: &str) {
        self.forget();
        let label = format!("defect=\"{defect}\"");
        let counted = async || {
            let labels = [&*label];
            self.metric("portcullis_malformed_requests_total", &labels)
                .await
        };
        let before = counted().await;
        let mut wire = self.wire().await;
        let reply = wire.ask(self.written(attack)).await;
        assert_eq!((reply.status, reply.bytes()), (400, &b""[..]), "{attack:?}");
        wire.closed().await;
        eventually(async || (counted().await > before).then_some(())).await;
        assert_eq!(self.new_decisions().len(), 0, "{attack:?}");
        self.stands(attack).await;
    }

    /// Refused by the pipeline: answered and recorded with `verdict`.
    pub(crate) async fn is_refused(&self, attack: &str, verdict: (u16, &str), then: Then) -> Reply {
        self.forget();
        let mut wire = self.wire().await;
        let reply = wire.ask(self.written(attack)).await;
        let told = (reply.status, reply.header("x-portcullis-reason"));
        assert_eq!(told, (verdict.0, Some(verdict.1)), "{attack:?}");
        self.refused(&reply, verdict);
        self.and_then(attack, wire, then).await;
        reply
    }

    /// Refused by the parser of the HTTP library: a status without a word, and the end of the
    /// connection.
    pub(crate) async fn is_unreadable(&self, attack: &str, status: u16) {
        self.forget();
        let mut wire = self.wire().await;
        let reply = wire.ask(self.written(attack)).await;
        let name = attack.get(..80).unwrap_or(attack);
        assert_eq!(
            (reply.status, reply.bytes()),
            (status, &b""[..]),
            "{name:?}"
        );
        wire.closed().await;
        assert_eq!(self.new_decisions().len(), 0, "{name:?}");
        self.stands(name).await;
    }

    /// Checks what becomes of the connection, and that the site stands.
    pub(crate) async fn and_then(&self, attack: &str, mut wire: Wire, then: Then) {
        match then {
            Then::Ends => wire.closed().await,
            Then::GoesOn => {
                let reached = self.news();
                assert!(reached.is_empty(), "{attack:?}: {reached:?}");
                let reply = wire.ask(self.written("{GET}")).await;
                assert_eq!(reply.status, 200, "{attack:?}");
                self.forwarded();
            }
            Then::Either => {
                let get = self.written("GET / HTTP/1.1\r\n{N}\r\n");
                let status = wire.try_ask(get).await.map(|reply| reply.status);
                assert!(matches!(status, None | Some(400)), "{attack:?}: {status:?}");
            }
        }
        self.stands(attack).await;
    }
}
