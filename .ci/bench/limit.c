/* limit: what the kernel allows a loop of send and recv on one connected ICMP datagram socket.
 *
 *   limit 4|6 COUNT           COUNT echoes, one after the other
 *   limit 4|6 COUNT GAP_US    one each GAP_US, with the kernel's time stamps
 *
 * It prints p50 and p99 of the RTT and, with time stamps, p50 of the part from the transmit stamp to the receive stamp, all
 * in ns. Build: cc -O2 -static -o limit limit.c
 */
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND 1000000000LL
#define CLASSES 1000000 /* of 10 ns */

static uint32_t rtts[CLASSES], paths[CLASSES];

static int64_t nanos(const struct timespec *t) { return t->tv_sec * SECOND + t->tv_nsec; }

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return nanos(&t);
}

static void note(uint32_t *classes, int64_t ns)
{
	int64_t i = ns / 10;
	classes[i < 0 ? 0 : i < CLASSES ? i : CLASSES - 1]++;
}

static long quantile(const uint32_t *classes, double q)
{
	uint64_t all = 0, below = 0;
	for (int i = 0; i < CLASSES; i++) all += classes[i];
	for (int i = 0; i < CLASSES; i++)
		if ((below += classes[i]) >= q * all) return i * 10L;
	return 0;
}

/* take reads one message and returns its software time stamp; 0 if it has none. */
static int64_t take(int fd, int flags, int *length)
{
	char data[256], control[512];
	struct iovec part = {data, sizeof data};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	*length = recvmsg(fd, &m, flags);
	for (struct cmsghdr *c = *length < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
			return nanos(((struct scm_timestamping *)CMSG_DATA(c))->ts);
	return 0;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc < 3) return fprintf(stderr, "usage: limit 4|6 COUNT [GAP_US]\n"), 2;
	int six = argv[1][0] == '6';
	long count = atol(argv[2]), gap = argc > 3 ? atol(argv[3]) * 1000 : 0;
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd < 0) die("socket");
	if (connect(fd, six ? (void *)&to6 : (void *)&to4, six ? sizeof to6 : sizeof to4)) die("connect");
	unsigned stamps = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
	if (gap && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps)) die("SO_TIMESTAMPING");

	uint8_t request[64] = {six ? 128 : 8}, reply[256]; /* the kernel sets checksum and identifier */
	int64_t next = now();
	for (long seq = 1; seq <= count; seq++) {
		int length;
		request[6] = seq >> 8, request[7] = seq;
		if (gap) {
			struct timespec at = {next / SECOND, next % SECOND};
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
			next += gap;
		}
		int64_t start = now();
		if (send(fd, request, sizeof request, 0) != sizeof request) die("send");
		if (!gap) {
			if (recv(fd, reply, sizeof reply, 0) != sizeof request) die("recv");
			note(rtts, now() - start);
			continue;
		}
		int64_t received = take(fd, 0, &length);
		note(rtts, now() - start);
		int64_t sent = take(fd, MSG_ERRQUEUE | MSG_DONTWAIT, &length);
		if (!received || !sent) die("time stamps");
		note(paths, received - sent);
	}
	printf("%ld %ld %ld\n", quantile(rtts, 0.5), quantile(rtts, 0.99), quantile(paths, 0.5));
}
