// The load that bench/scale/run.ts puts on a registry. It knows just enough of HTTP to cost little beside the registry:
// requests of a batch are written with one call, and of the answers only the head of each is looked at.
//
//	load manifests ORIGINS PATH BATCH CONNECTIONS SECONDS
//	load push ORIGINS REPOSITORIES BLOBS BLOB-BYTES CONNECTIONS SECONDS
//	load pull ORIGINS REPOSITORY TAGS CONNECTIONS SECONDS
//
// ORIGINS are host:port, with commas between them; connections are spread over them, and what is pushed over REPOSITORIES. It
// prints one line of JSON.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const warmUp = time.Second

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// What one connection has done after the warm-up.
type tally struct {
	count int
	bytes int64
	// With what was done during the warm-up.
	allBytes  int64
	durations []time.Duration
}

// A keep-alive connection that asks and waits.
type client struct {
	host string
	conn net.Conn
	in   *bufio.Reader
}

type answer struct {
	status   int
	location string
	body     []byte
	length   int64
}

func dial(host string) *client {
	conn, err := net.Dial("tcp", host)
	check(err)
	return &client{host: host, conn: conn, in: bufio.NewReaderSize(conn, 256*1024)}
}

// send writes a request and reads its answer; the body is kept where it is small and wanted.
func (c *client) send(method, path, contentType string, body []byte, keep bool) answer {
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, c.host)
	if contentType != "" {
		fmt.Fprintf(&head, "Content-Type: %s\r\n", contentType)
	}
	if method == "GET" {
		fmt.Fprintf(&head, "Accept: %s\r\n", manifestType)
	} else {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", len(body))
	}
	head.WriteString("\r\n")
	buffers := net.Buffers{head.Bytes(), body}
	_, err := buffers.WriteTo(c.conn)
	check(err)
	return c.read(keep)
}

func (c *client) read(keep bool) answer {
	line, err := c.in.ReadString('\n')
	check(err)
	if len(line) < 12 {
		fail("this is no HTTP: " + line)
	}
	status, err := strconv.Atoi(line[9:12])
	check(err)
	result := answer{status: status}
	chunked := false
	for {
		line, err := c.in.ReadSlice('\n')
		check(err)
		if len(line) <= 2 {
			break
		}
		name, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			result.length, err = strconv.ParseInt(value, 10, 64)
			check(err)
		case "location":
			result.location = value
		case "transfer-encoding":
			chunked = true
		}
	}
	if chunked {
		return c.readChunks(result)
	}
	if keep {
		result.body = make([]byte, result.length)
		_, err = io.ReadFull(c.in, result.body)
	} else {
		_, err = io.CopyN(io.Discard, c.in, result.length)
	}
	check(err)
	return result
}

// readChunks leaves the bytes of an answer whose length was not told beforehand.
func (c *client) readChunks(result answer) answer {
	for {
		line, err := c.in.ReadString('\n')
		check(err)
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		check(err)
		_, err = io.CopyN(io.Discard, c.in, size+2)
		check(err)
		if size == 0 {
			return result
		}
		result.length += size
	}
}

func (c *client) expect(what string, status int, result answer) answer {
	if result.status != status {
		fail(fmt.Sprintf("%s: %d, not %d", what, result.status, status))
	}
	return result
}

// The path of a Location, which may be a whole URL.
func pathOf(location string) string {
	if strings.HasPrefix(location, "/") {
		return location
	}
	_, rest, _ := strings.Cut(location, "://")
	return rest[strings.IndexByte(rest, '/'):]
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (c *client) pushBlob(repo string, content []byte) string {
	digest := digestOf(content)
	opened := c.expect("POST", 202, c.send("POST", "/v2/"+repo+"/blobs/uploads/", "", nil, false))
	path := pathOf(opened.location)
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	c.expect("PUT blob", 201, c.send("PUT", path+separator+"digest="+digest, "application/octet-stream", content, false))
	return digest
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// pushImage pushes an image of blobs that nobody has, and a manifest under a tag. It tells how many bytes it has sent.
func (c *client) pushImage(repo, tag string, blobs, blobBytes int, filler []byte) int64 {
	var sent int64
	image := manifest{SchemaVersion: 2, MediaType: manifestType}
	for i := 0; i <= blobs; i++ {
		content := filler[:blobBytes]
		mediaType := "application/vnd.oci.image.layer.v1.tar"
		if i == 0 {
			content = filler[:min(blobBytes, 1024)]
			mediaType = "application/vnd.oci.image.config.v1+json"
		}
		_, err := rand.Read(content[:16])
		check(err)
		digest := c.pushBlob(repo, content)
		sent += int64(len(content))
		described := descriptor{mediaType, digest, len(content)}
		if i == 0 {
			image.Config = described
		} else {
			image.Layers = append(image.Layers, described)
		}
	}
	text, err := json.Marshal(image)
	check(err)
	c.expect("PUT manifest", 201, c.send("PUT", "/v2/"+repo+"/manifests/"+tag, manifestType, text, false))
	return sent + int64(len(text))
}

func (c *client) pullImage(repo, tag string) int64 {
	got := c.expect("GET manifest", 200, c.send("GET", "/v2/"+repo+"/manifests/"+tag, "", nil, true))
	var image manifest
	check(json.Unmarshal(got.body, &image))
	received := got.length
	for _, blob := range append(image.Layers, image.Config) {
		path := "/v2/" + repo + "/blobs/" + blob.Digest
		received += c.expect("GET blob", 200, c.send("GET", path, "", nil, false)).length
	}
	return received
}

// batches sends a batch of the same request with one call, and waits for as many bytes as their answers have.
func batches(host, path string, batch int, isOver func() bool, begin time.Time, result *tally) {
	c := dial(host)
	first := c.expect("GET manifest", 200, c.send("GET", path, "", nil, false))
	c.conn.Close()
	conn, err := net.Dial("tcp", host)
	check(err)
	request := []byte(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", path, host, manifestType))
	// Every answer is as long as the first.
	_, err = conn.Write(request)
	check(err)
	buffer := make([]byte, 1024*1024)
	n, err := conn.Read(buffer)
	check(err)
	head := bytes.Index(buffer[:n], []byte("\r\n\r\n"))
	if head < 0 || !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200")) {
		fail("the head of an answer does not come at once")
	}
	length := head + 4 + int(first.length)
	for have := n; have < length; have += n {
		n, err = conn.Read(buffer[have:])
		check(err)
	}
	requests := bytes.Repeat(request, batch)
	for !isOver() {
		at := time.Now()
		_, err = conn.Write(requests)
		check(err)
		for left := length * batch; left > 0; {
			n, err := conn.Read(buffer)
			check(err)
			if left == length*batch && !bytes.HasPrefix(buffer, []byte("HTTP/1.1 200")) {
				fail("an answer is none: " + string(buffer[:n]))
			}
			left -= n
			if left < 0 {
				fail("an answer is longer than the first")
			}
		}
		if at.Sub(begin) >= warmUp {
			result.count += batch
			result.bytes += int64(length * batch)
			result.durations = append(result.durations, time.Since(at))
		}
	}
	conn.Close()
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) < 5 {
		fail("load manifests|push|pull …: see the beginning of its source")
	}
	kind, origins := arguments[0], strings.Split(arguments[1], ",")
	numbers := make([]int, len(arguments))
	for i, argument := range arguments {
		numbers[i], _ = strconv.Atoi(argument)
	}
	connections, seconds := numbers[len(arguments)-2], numbers[len(arguments)-1]
	begin := time.Now()
	end := begin.Add(warmUp + time.Duration(seconds)*time.Second)
	isOver := func() bool { return time.Now().After(end) }
	tallies := make([]tally, connections)
	var images atomic.Int64
	run := binary.BigEndian.Uint32(random(4))
	var group sync.WaitGroup
	var cpuAtBegin float64
	for i := range tallies {
		group.Add(1)
		go func(index int) {
			defer group.Done()
			result, host := &tallies[index], origins[index%len(origins)]
			step := func(work func(c *client) int64) {
				c := dial(host)
				for !isOver() {
					at := time.Now()
					bytes := work(c)
					result.allBytes += bytes
					if at.Sub(begin) >= warmUp {
						result.count++
						result.bytes += bytes
						result.durations = append(result.durations, time.Since(at))
					}
				}
				c.conn.Close()
			}
			switch kind {
			case "manifests":
				batches(host, arguments[2], numbers[3], isOver, begin, result)
			case "push":
				filler := random(max(numbers[4], 1024))
				repos := strings.Split(arguments[2], ",")
				step(func(c *client) int64 {
					image := int(images.Add(1))
					tag := fmt.Sprintf("%08x-%d", run, image)
					return c.pushImage(repos[image%len(repos)], tag, numbers[3], numbers[4], filler)
				})
			case "pull":
				tags := strings.Split(arguments[3], ",")
				step(func(c *client) int64 {
					return c.pullImage(arguments[2], tags[int(images.Add(1))%len(tags)])
				})
			default:
				fail("this is no kind of load: " + kind)
			}
		}(i)
	}
	time.Sleep(warmUp)
	cpuAtBegin = cpuSeconds()
	fmt.Println("begun")
	group.Wait()
	took := time.Since(begin) - warmUp
	var total tally
	for _, one := range tallies {
		total.count += one.count
		total.bytes += one.bytes
		total.allBytes += one.allBytes
		total.durations = append(total.durations, one.durations...)
	}
	sort.Slice(total.durations, func(a, b int) bool { return total.durations[a] < total.durations[b] })
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"count":      total.count,
		"bytes":      total.bytes,
		"allBytes":   total.allBytes,
		"seconds":    took.Seconds(),
		"cpuSeconds": cpuSeconds() - cpuAtBegin,
		"p50Ms":      at(total.durations, 0.5),
		"p99Ms":      at(total.durations, 0.99),
	}))
}

func at(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(share*float64(len(sorted)-1))].Microseconds()) / 1000
}

func random(count int) []byte {
	content := make([]byte, count)
	_, err := rand.Read(content)
	check(err)
	return content
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(time syscall.Timeval) float64 { return float64(time.Sec) + float64(time.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, "load: "+reason)
	os.Exit(1)
}
