import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import java.net.InetAddress;
import java.net.Socket;

/**
 * Whether Java's TLS accepts certificates as it should.
 *
 * <p>{@code java Check.java CASES}: each line of CASES is {@code certificate host accept|refuse}; the
 * files {@code certificate.crt} and {@code certificate.key} are beside it. What is trusted is what
 * the system properties say (javax.net.ssl.trustStore).
 */
public final class Check {
    private static final char[] PASSWORD = "changeit".toCharArray();

    private static SSLContext server(Path chain, Path key) throws Exception {
        var certificates = CertificateFactory.getInstance("X.509")
            .generateCertificates(new ByteArrayInputStream(Files.readAllBytes(chain)));
        String text = Files.readString(key).replaceAll("-----[A-Z ]+-----|\\s", "");
        var spec = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("server", KeyFactory.getInstance("EC").generatePrivate(spec), PASSWORD,
            certificates.toArray(Certificate[]::new));
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    private static void answer(SSLServerSocket listener) {
        try (SSLSocket connection = (SSLSocket) listener.accept()) {
            connection.startHandshake();
        } catch (Exception refused) {
            // A client that refuses ends the handshake.
        }
    }

    private static String[] outcome(Path directory, String certificate, String host) throws Exception {
        SSLContext context = server(directory.resolve(certificate + ".crt"),
            directory.resolve(certificate + ".key"));
        InetAddress here = InetAddress.getLoopbackAddress();
        try (var listener = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 1, here)) {
            Thread thread = new Thread(() -> answer(listener));
            thread.start();
            Socket plain = new Socket(here, listener.getLocalPort());
            var client = (SSLSocket) SSLContext.getDefault().getSocketFactory()
                .createSocket(plain, host, listener.getLocalPort(), true);
            var parameters = client.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            client.setSSLParameters(parameters);
            try (client) {
                client.startHandshake();
                return new String[] {"accept", ""};
            } catch (SSLException error) {
                return new String[] {"refuse", error.getMessage()};
            } finally {
                thread.join();
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path cases = Path.of(arguments[0]).toAbsolutePath();
        boolean right = true;
        for (String line : Files.readAllLines(cases)) {
            String[] parts = line.split(" ");
            String[] found = outcome(cases.getParent(), parts[0], parts[1]);
            boolean ok = found[0].equals(parts[2]);
            right &= ok;
            System.out.printf("java %s as %s: %s %s: %s%n", parts[0], parts[1], found[0], found[1],
                ok ? "ok" : "WRONG, expected " + parts[2]);
        }
        System.exit(right ? 0 : 1);
    }
}
