package servers

import (
	"crypto/sha1" //nolint:gosec // the format's own checksum
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"unicode/utf16"

	"fnb/internal/servers/layertar"
)

// trustStoreLayer writes this machine's certificates to where Debian's Java finds authorities.
func (m *standinMaker) trustStoreLayer() (string, error) {
	bundle, err := machineCertificates()
	if err != nil {
		return "", fmt.Errorf("reading this machine's certificates: %w", err)
	}
	store := javaTrustStore(bundle)
	return m.contentLayer("truststore", store, func(w *layertar.Writer) error { return w.File("etc/ssl/certs/java/cacerts", 0o644, store) })
}

// javaTrustStore is a bundle of certificates in the format that Java reads without a
// password, JKS.
func javaTrustStore(bundle []byte) []byte {
	text := func(out []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(out, uint16(len(s))), s...)
	}
	var entries []byte
	count := uint32(0)
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		entries = binary.BigEndian.AppendUint32(entries, 2) // a certificate that is trusted
		entries = text(entries, fmt.Sprint("authority", count))
		entries = binary.BigEndian.AppendUint64(entries, 0) // when it was added
		entries = text(entries, "X.509")
		entries = binary.BigEndian.AppendUint32(entries, uint32(len(block.Bytes)))
		entries = append(entries, block.Bytes...)
		count++
	}
	store := binary.BigEndian.AppendUint32(nil, 0xfeedfeed)
	store = binary.BigEndian.AppendUint32(store, 2)
	store = binary.BigEndian.AppendUint32(store, count)
	store = append(store, entries...)
	sum := sha1.New() //nolint:gosec // the format's own checksum
	for _, unit := range utf16.Encode([]rune("changeit")) {
		sum.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	sum.Write([]byte("Mighty Aphrodite"))
	sum.Write(store)
	return sum.Sum(store)
}
