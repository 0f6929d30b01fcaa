package signpost

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

const toleranceS = 300

// IsFromSignpost takes the exact bytes of the request, before any parsing, a way to its headers (r.Header.Get), and the endpoint's secret.
func IsFromSignpost(rawBody []byte, header func(name string) string, secret string) bool {
	id, timestamp := header("webhook-id"), header("webhook-timestamp")
	sentAt, err := strconv.ParseInt(timestamp, 10, 64)
	if age := time.Now().Unix() - sentAt; err != nil || age > toleranceS || age < -toleranceS {
		return false
	}
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return false
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(rawBody)
	wanted := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While a secret is being changed there are several signatures.
	for _, given := range strings.Split(header("webhook-signature"), " ") {
		if hmac.Equal([]byte(given), wanted) {
			return true
		}
	}
	return false
}
