"""Whether Python's TLS accepts certificates as it should.

    check.py CASES

Each line of CASES is `certificate host accept|refuse`; the files `certificate.crt` and
`certificate.key` are beside it. What is trusted is what the environment says (SSL_CERT_FILE).
"""

import pathlib
import socket
import ssl
import sys
import threading


def serve(listener, context):
    """Answers one handshake, which may fail."""
    connection, _ = listener.accept()
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()


def outcome(directory, certificate, host):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / f"{certificate}.crt", directory / f"{certificate}.key")
    client = ssl.create_default_context()
    # Python 3.13 is strict by default; older ones are asked to be.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, server))
        thread.start()
        try:
            with socket.create_connection(listener.getsockname()) as connection:
                with client.wrap_socket(connection, server_hostname=host):
                    return "accept", ""
        except ssl.SSLCertVerificationError as error:
            return "refuse", error.verify_message
        finally:
            thread.join()


def main(cases):
    wrong = 0
    for line in cases.read_text().splitlines():
        certificate, host, expected = line.split()
        found, why = outcome(cases.parent, certificate, host)
        verdict = "ok" if found == expected else f"WRONG, expected {expected}"
        wrong += found != expected
        print(f"python {certificate} as {host}: {found} {why}: {verdict}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
