/* A mail server that takes everything and keeps nothing: SMTP on 127.0.0.1, one process, epoll. `sink PORT`.
 * Used where Debian's smtp-sink is not installed; prints how many mails it took when it is told to stop. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct line { int in_data; size_t used; char buffer[65536]; };
static struct line *lines[4096];
static volatile sig_atomic_t stopping;
static long taken;

static void stop(int number) { (void)number; stopping = 1; }

static void say(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) close(fd);
}

static void command(int fd, struct line *line, const char *text) {
    if (!strncasecmp(text, "EHLO", 4)) say(fd, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
    else if (!strncasecmp(text, "DATA", 4)) { line->in_data = 1; say(fd, "354 go on\r\n"); }
    else if (!strncasecmp(text, "QUIT", 4)) say(fd, "221 bye\r\n");
    else say(fd, "250 ok\r\n");
}

/* Handles the whole lines in the buffer; the end of a mail is a line with a dot. */
static void handle(int fd, struct line *line) {
    char *at = line->buffer, *end;
    while ((end = memchr(at, '\n', line->used - (at - line->buffer)))) {
        size_t length = end - at + 1;
        if (line->in_data) {
            if (length <= 3 && at[0] == '.') { line->in_data = 0; taken++; say(fd, "250 taken\r\n"); }
        } else {
            *end = 0;
            command(fd, line, at);
        }
        at = end + 1;
    }
    line->used -= at - line->buffer;
    memmove(line->buffer, at, line->used);
    if (line->used == sizeof line->buffer) line->used = 0;
}

int main(int count, char **values) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sigaction action = {.sa_handler = stop};
    if (count != 2) return 2;
    place.sin_port = htons(atoi(values[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 128)) { perror("sink"); return 1; }
    sigaction(SIGTERM, &action, 0);
    signal(SIGPIPE, SIG_IGN);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    puts("ready");
    fflush(stdout);
    while (!stopping) {
        int ready = epoll_wait(poll, events, 64, 1000);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                fd = accept(listener, 0, 0);
                if (fd < 0 || fd >= 4096) { if (fd >= 0) close(fd); continue; }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                lines[fd] = calloc(1, sizeof **lines);
                event.data.fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                say(fd, "220 sink\r\n");
                continue;
            }
            struct line *line = lines[fd];
            ssize_t got = read(fd, line->buffer + line->used, sizeof line->buffer - line->used);
            if (got <= 0) { close(fd); free(line); lines[fd] = 0; continue; }
            line->used += got;
            handle(fd, line);
        }
    }
    printf("%ld\n", taken);
    return 0;
}
