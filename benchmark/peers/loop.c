/* The limit: the same works as bare loops over blocking system calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

static struct {
  const char *address;
  long size, burst, descriptors;
  double warmup, duration;
} params = {.burst = 1};

static void check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static double microseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static double now(void) { return microseconds(CLOCK_MONOTONIC); }

static double cpu_time(void) { return microseconds(CLOCK_PROCESS_CPUTIME_ID); }

/* ---- connections ---- */

static struct sockaddr_un address(void) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  check(strlen(params.address) < sizeof name.sun_path, "address");
  strcpy(name.sun_path, params.address);
  return name;
}

static int dial(void) {
  struct sockaddr_un name = address();
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  check(connect(fd, (struct sockaddr *)&name, sizeof name) == 0, "connect");
  return fd;
}

typedef struct {
  int fd;
  size_t start, end;
} Connection;

/* What a connection has read ahead; a process has but one at a time. */
static char buffer[64 * 1024];

static void send_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EPIPE) exit(0);
    check(sent > 0, "send");
    bytes += sent;
    count -= sent;
  }
}

static void put_length(char *head, size_t length) {
  head[0] = length >> 24, head[1] = length >> 16, head[2] = length >> 8, head[3] = length;
}

/* Frames of `size` bytes, ready to be sent. */
static char *frames(size_t size, size_t count) {
  char *bytes = calloc(count, size + 4);
  check(bytes != NULL, "calloc");
  for (size_t i = 0; i < count; i++) put_length(bytes + i * (size + 4), size);
  return bytes;
}

static size_t fill(Connection *connection) {
  ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
  if (got < 0 && errno == ECONNRESET) got = 0;
  check(got >= 0, "recv");
  connection->start = 0;
  return connection->end = got;
}

static size_t take(Connection *connection, char *out, size_t count) {
  size_t here = connection->end - connection->start;
  if (here > count) here = count;
  memcpy(out, buffer + connection->start, here);
  connection->start += here;
  return here;
}

/* Receives one body; the rest of a long one is read straight into `body`. -1 when the peer has gone. */
static ssize_t receive(Connection *connection, char *body) {
  unsigned char head[4];
  for (size_t got = 0; (got += take(connection, (char *)head + got, 4 - got)) < 4;)
    if (fill(connection) == 0) return -1;
  size_t length = (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
  size_t got = take(connection, body, length);
  while (got < length) {
    struct iovec parts[2] = {{body + got, length - got}, {buffer, sizeof buffer}};
    ssize_t count = readv(connection->fd, parts, 2);
    if (count <= 0) return -1;
    if ((size_t)count > length - got) {
      connection->start = 0;
      connection->end = count - (length - got);
      count = length - got;
    }
    got += count;
  }
  return length;
}

static int accept_next(void) {
  static int listener = -1;
  if (listener < 0) {
    struct sockaddr_un name = address();
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&name, sizeof name) == 0, "bind");
    check(listen(listener, 4096) == 0, "listen");
    puts("ready");
    fflush(stdout);
  }
  int fd = accept(listener, NULL, NULL);
  check(fd >= 0, "accept");
  return fd;
}

/* ---- descriptors ---- */

enum { MAX_DESCRIPTORS = 253 };

typedef union {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
} Control;

static void send_descriptors(int fd, char *bytes, size_t count, const int *fds, size_t descriptors) {
  Control control = {0};
  struct iovec part = {bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
  message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
  control.align.cmsg_level = SOL_SOCKET;
  control.align.cmsg_type = SCM_RIGHTS;
  control.align.cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
  memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * descriptors);
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (sent < 0 && errno == EPIPE) exit(0);
  check(sent == (ssize_t)count, "sendmsg");
}

/* How many descriptors came; 0 when the peer has gone. */
static size_t receive_descriptors(int fd, char *bytes, size_t count, int *fds) {
  Control control = {0};
  struct iovec part = {bytes, count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
  message.msg_controllen = sizeof control;
  ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got <= 0 || message.msg_controllen < sizeof(struct cmsghdr)) return 0;
  size_t bytes_of_fds = control.align.cmsg_len - CMSG_LEN(0);
  memcpy(fds, CMSG_DATA(&control.align), bytes_of_fds);
  return bytes_of_fds / sizeof(int);
}

static void close_all(const int *fds, size_t count) {
  for (size_t i = 0; i < count; i++) close(fds[i]);
}

/* ---- measuring ---- */

static struct {
  double *samples, record_from, end;
  size_t count, capacity;
} stopwatch;

static void start_stopwatch(void) {
  stopwatch.record_from = now() + params.warmup;
  stopwatch.end = stopwatch.record_from + params.duration;
}

static int add_sample(double started, double ended) {
  if (started >= stopwatch.record_from) {
    if (stopwatch.count == stopwatch.capacity) {
      stopwatch.capacity = stopwatch.capacity ? stopwatch.capacity * 2 : 1 << 16;
      stopwatch.samples = realloc(stopwatch.samples, stopwatch.capacity * sizeof(double));
      check(stopwatch.samples != NULL, "realloc");
    }
    stopwatch.samples[stopwatch.count++] = ended - started;
  }
  return ended < stopwatch.end;
}

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void print_samples(void) {
  size_t count = stopwatch.count;
  double *samples = stopwatch.samples, total = 0;
  check(count > 0, "samples");
  qsort(samples, count, sizeof(double), ascending);
  for (size_t i = 0; i < count; i++) total += samples[i];
  size_t high = count * 99 / 100;
  printf("{\"p50\":%f,\"p99\":%f,\"mean\":%f,\"count\":%zu}\n", samples[count / 2], samples[high], total / count, count);
}

/* ---- works ---- */

static void serve_echo(void) {
  char *frame = frames(params.size, 1);
  for (;;) {
    Connection connection = {.fd = accept_next()};
    while (receive(&connection, frame + 4) >= 0) send_all(connection.fd, frame, params.size + 4);
    close(connection.fd);
  }
}

static void serve_sink(void) {
  char *body = malloc(params.size);
  for (;;) {
    Connection connection = {.fd = accept_next()};
    for (ssize_t length; (length = receive(&connection, body)) >= 0;) {
      if (length != 1) continue;
      char report[64];
      int count = snprintf(report + 4, sizeof report - 4, "%f", cpu_time());
      put_length(report, count);
      send_all(connection.fd, report, count + 4);
    }
    close(connection.fd);
  }
}

static void serve_handle(void) {
  for (;;) {
    int fd = accept_next(), fds[MAX_DESCRIPTORS];
    char byte;
    for (size_t count; (count = receive_descriptors(fd, &byte, 1, fds)) > 0; close_all(fds, count))
      send_descriptors(fd, &byte, 1, fds, count);
    close(fd);
  }
}

static void serve_descriptors(void) {
  for (;;) {
    int fd = accept_next(), fds[MAX_DESCRIPTORS];
    char frame[5];
    for (size_t count; (count = receive_descriptors(fd, frame, sizeof frame, fds)) > 0;) {
      close_all(fds, count);
      send_all(fd, frame, sizeof frame);
    }
    close(fd);
  }
}

static void round_trip(void) {
  Connection connection = {.fd = dial()};
  char *frame = frames(params.size, 1), *body = malloc(params.size);
  double started;
  do {
    started = now();
    send_all(connection.fd, frame, params.size + 4);
    receive(&connection, body);
  } while (add_sample(started, now()));
  print_samples();
}

static void connect_echo_close(void) {
  char *frame = frames(params.size, 1), *body = malloc(params.size);
  double started;
  do {
    started = now();
    Connection connection = {.fd = dial()};
    send_all(connection.fd, frame, params.size + 4);
    receive(&connection, body);
    close(connection.fd);
  } while (add_sample(started, now()));
  print_samples();
}

static long send_for(int fd, const char *bytes, double duration) {
  double end = now() + duration;
  long count = 0;
  do {
    send_all(fd, bytes, params.burst * (params.size + 4));
    count += params.burst;
  } while (now() < end);
  return count;
}

/* The processor time the sink has used, once it has received all before. */
static double mark(Connection *connection) {
  char report[64] = {0};
  send_all(connection->fd, frames(1, 1), 5);
  check(receive(connection, report) > 0, "report");
  return atof(report);
}

static void one_way(void) {
  Connection connection = {.fd = dial()};
  char *burst = frames(params.size, params.burst);
  send_for(connection.fd, burst, params.warmup);
  double before = mark(&connection), cpu = cpu_time(), started = now();
  long count = send_for(connection.fd, burst, params.duration);
  double after = mark(&connection), elapsed = now() - started;
  double both = cpu_time() - cpu + after - before;
  printf("{\"mean\":%f,\"cpu\":%f,\"count\":%ld}\n", elapsed / count, both / count, count);
}

static void handle(void) {
  int connection = dial(), fd = open("/dev/null", O_RDONLY), fds[MAX_DESCRIPTORS];
  char byte = 1;
  double started;
  do {
    started = now();
    send_descriptors(connection, &byte, 1, &fd, 1);
    close_all(fds, receive_descriptors(connection, &byte, 1, fds));
  } while (add_sample(started, now()));
  print_samples();
}

static void descriptors(void) {
  Connection connection = {.fd = dial()};
  int fds[MAX_DESCRIPTORS];
  for (long i = 0; i < params.descriptors; i++) fds[i] = open("/dev/null", O_RDONLY);
  char *frame = frames(1, 1), body[1];
  double started;
  do {
    started = now();
    send_descriptors(connection.fd, frame, 5, fds, params.descriptors);
    receive(&connection, body);
  } while (add_sample(started, now()));
  print_samples();
}

#ifdef __linux__
static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* One of them stays readable: nothing but the call is timed. */
static void select_ready(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int epoll = epoll_create1(0), quiet[2], ready[2];
  check(pipe(quiet) == 0 && pipe(ready) == 0, "pipe");
  for (long i = 1; i < params.descriptors; i++) watch(epoll, dup(quiet[0]));
  check(write(ready[1], "x", 1) == 1, "write");
  watch(epoll, ready[0]);
  struct epoll_event event;
  double started;
  do {
    started = now();
    epoll_wait(epoll, &event, 1, -1);
  } while (add_sample(started, now()));
  print_samples();
}

static int open_fifo(const char *suffix, int flags) {
  char path[256];
  snprintf(path, sizeof path, "%s%s", params.address, suffix);
  int fd = open(path, flags);
  check(fd >= 0, path);
  return fd;
}

static void wake(void) {
  int epoll = epoll_create1(0), fd = open_fifo(".wake", O_RDONLY), answer = open_fifo(".answer", O_WRONLY);
  watch(epoll, fd);
  struct epoll_event event;
  uint64_t written;
  double ended;
  do {
    epoll_wait(epoll, &event, 1, -1);
    ended = now();
    check(read(fd, &written, sizeof written) == sizeof written, "read");
    check(write(answer, "x", 1) == 1, "write");
  } while (add_sample(written / 1e3, ended));
  print_samples();
}
#endif

static const struct {
  const char *role, *name;
  void (*run)(void);
} works[] = {
    {"server", "echo", serve_echo},
    {"server", "sink", serve_sink},
    {"server", "handle", serve_handle},
    {"server", "descriptors", serve_descriptors},
    {"client", "round-trip", round_trip},
    {"client", "connect", connect_echo_close},
    {"client", "one-way", one_way},
    {"client", "handle", handle},
    {"client", "descriptors", descriptors},
#ifdef __linux__
    {"client", "select", select_ready},
    {"client", "wake", wake},
#endif
};

static void set_param(const char *pair) {
  const char *value = strchr(pair, '=') + 1;
  size_t length = value - pair;
  if (strncmp(pair, "address=", length) == 0) params.address = value;
  if (strncmp(pair, "size=", length) == 0) params.size = atol(value);
  if (strncmp(pair, "burst=", length) == 0) params.burst = atol(value);
  if (strncmp(pair, "descriptors=", length) == 0) params.descriptors = atol(value);
  if (strncmp(pair, "warmup=", length) == 0) params.warmup = atof(value) * 1e3;
  if (strncmp(pair, "duration=", length) == 0) params.duration = atof(value) * 1e3;
}

int main(int count, char **arguments) {
  for (int i = 3; i < count; i++) set_param(arguments[i]);
  start_stopwatch();
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
    if (strcmp(arguments[1], works[i].role) != 0 || strcmp(arguments[2], works[i].name) != 0) continue;
    works[i].run();
    return 0;
  }
  fprintf(stderr, "unknown work\n");
  return 1;
}
