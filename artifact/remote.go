package artifact

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxObjectBytes bounds one upload, as a single PUT is bounded on S3.
const maxObjectBytes = 5 << 30

// objectPath precedes the key in URLs of Handler.
const objectPath = "/o/"

// seal is the signature that allows method on key until expiry (Unix seconds). Lines separate the parts,
// and no key holds one.
func seal(secret []byte, method, key, expiry string) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, method+"\n"+key+"\n"+expiry)
	return hex.EncodeToString(mac.Sum(nil))
}

// signedURL allows method on key of the server at base for ttl from now.
func signedURL(base string, secret []byte, method, key string, ttl time.Duration) string {
	expiry := strconv.FormatInt(time.Now().Add(ttl).Unix(), 10)
	return base + objectPath + (&url.URL{Path: key}).EscapedPath() + "?expires=" + expiry +
		"&signature=" + seal(secret, method, key, expiry)
}

// Handler serves a store over HTTP to holders of URLs signed with secret: GET, HEAD, PUT (with
// `If-None-Match: *` for the first writer only) and DELETE of a prefix. Each URL allows one method on one
// key until it expires, so that whoever is given some needs no credentials.
func Handler(store Store, secret []byte) http.Handler {
	return &server{store: store, secret: secret, limit: maxObjectBytes}
}

type server struct {
	store  Store
	secret []byte
	limit  int64
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, objectPath)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if why := s.refusal(r, key); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet:
		s.get(w, r, key)
	case http.MethodHead:
		s.head(w, r, key)
	case http.MethodPut:
		s.put(w, r, key)
	case http.MethodDelete:
		answer(w, http.StatusNoContent, s.store.DeletePrefix(r.Context(), key))
	default:
		http.Error(w, "no such method on an object", http.StatusMethodNotAllowed)
	}
}

// refusal says why the request is not allowed, or nothing.
func (s *server) refusal(r *http.Request, key string) string {
	q := r.URL.Query()
	expiry := q.Get("expires")
	if !hmac.Equal([]byte(seal(s.secret, r.Method, key, expiry)), []byte(q.Get("signature"))) {
		return "the signature does not match"
	}
	if at, err := strconv.ParseInt(expiry, 10, 64); err != nil || time.Now().Unix() >= at {
		return "the URL has expired"
	}
	return ""
}

func (s *server) get(w http.ResponseWriter, r *http.Request, key string) {
	body, err := s.store.Get(r.Context(), key)
	if err != nil {
		answer(w, 0, err)
		return
	}
	defer func() { _ = body.Close() }()
	w.Header().Set("Content-Type", contentType)
	if file, ok := body.(io.ReadSeeker); ok {
		http.ServeContent(w, r, "", time.Time{}, file) // parts of it, too
		return
	}
	if _, err := io.Copy(w, body); err != nil {
		panic(http.ErrAbortHandler) // breaks the connection: nobody may take a part for the whole
	}
}

func (s *server) head(w http.ResponseWriter, r *http.Request, key string) {
	info, err := s.store.Stat(r.Context(), key)
	if err == nil {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.FormatInt(info.Size, 10))
	}
	answer(w, http.StatusOK, err)
}

const contentType = "application/octet-stream"

func (s *server) put(w http.ResponseWriter, r *http.Request, key string) {
	if r.ContentLength > s.limit {
		answer(w, 0, &http.MaxBytesError{Limit: s.limit})
		return
	}
	once := r.Header.Get("If-None-Match") == "*"
	info, err := s.store.Put(r.Context(), key, http.MaxBytesReader(w, r.Body, s.limit), PutOptions{IfAbsent: once})
	if err == nil {
		w.Header().Set("ETag", `"`+info.SHA256+`"`)
	}
	answer(w, http.StatusOK, err)
}

// answer writes the status that stands for err, or code without one.
func answer(w http.ResponseWriter, code int, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		w.WriteHeader(code)
	case errors.Is(err, ErrNotExist):
		http.Error(w, "no such object", http.StatusNotFound)
	case errors.Is(err, ErrExists):
		http.Error(w, "the object exists", http.StatusPreconditionFailed)
	case errors.Is(err, ErrKey):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.As(err, &tooLarge):
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Remote is the Store behind a Handler at BaseURL (scheme and host, no slash at its end), for those who
// hold its secret.
type Remote struct {
	BaseURL string
	Secret  []byte
	client  Client
}

// ownTTL is how long Remote's own requests may take to reach the server.
const ownTTL = 5 * time.Minute

func (s *Remote) url(method, key string) string {
	return signedURL(s.BaseURL, s.Secret, method, key, ownTTL)
}

// Put implements Store. The server's digest of what arrived must equal that of what was sent.
func (s *Remote) Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	size, sum, err := s.client.upload(ctx, s.url(http.MethodPut, key), r, opt.IfAbsent)
	if err != nil {
		return Info{}, fmt.Errorf("store %s: %w", key, err)
	}
	return Info{Key: key, Size: size, SHA256: sum}, nil
}

// Get implements Store.
func (s *Remote) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	body, err := s.client.download(ctx, s.url(http.MethodGet, key))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return body, nil
}

// Stat implements Store.
func (s *Remote) Stat(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	resp, err := s.client.send(ctx, http.MethodHead, s.url(http.MethodHead, key), 0)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return Info{Key: key, Size: resp.ContentLength}, resp.Body.Close()
}

// DeletePrefix implements Store.
func (s *Remote) DeletePrefix(ctx context.Context, prefix string) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	resp, err := s.client.send(ctx, http.MethodDelete, s.url(http.MethodDelete, prefix), 0)
	if err != nil {
		return fmt.Errorf("delete %s*: %w", prefix, err)
	}
	return resp.Body.Close()
}

// Sign implements Store.
func (s *Remote) Sign(_ context.Context, method, key string, ttl time.Duration) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return signedURL(s.BaseURL, s.Secret, method, key, ttl), nil
}
