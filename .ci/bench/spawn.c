/* spawn: what whole processes cost.
 *
 *   spawn RUNS COPIES COMMAND ...
 *
 * Each command is run RUNS times in turn with the others, so that what disturbs the machine disturbs them alike, COPIES of it
 * at once. For each it prints a line of medians: wall time of all copies in us; of one copy the CPU time in us, the largest
 * resident set in kB, page faults, voluntary context switches; and how many copies failed in all.
 * Build: cc -O2 -o spawn spawn.c
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { WALL, CPU, RSS, FAULTS, SWITCHES, FIGURES };

extern char **environ;

static long micros(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;
	return x < y ? -1 : x > y;
}

/* run starts copies of a command, waits for them, and returns how many failed. */
static int run(const char *command, int copies, const posix_spawn_file_actions_t *silent, long figures[FIGURES])
{
	char line[4096], *words[64];
	int n = 0, failed = 0;
	snprintf(line, sizeof line, "%s", command);
	for (char *w = strtok(line, " "); w && n < 63; w = strtok(NULL, " ")) words[n++] = w;
	words[n] = NULL;
	long start = micros();
	for (int i = 0; i < copies; i++) {
		pid_t pid;
		int e = posix_spawnp(&pid, words[0], silent, NULL, words, environ);
		if (e) {
			fprintf(stderr, "%s: %s\n", words[0], strerror(e));
			exit(1);
		}
	}
	memset(figures, 0, FIGURES * sizeof *figures);
	for (int i = 0; i < copies; i++) {
		struct rusage u;
		int status;
		wait4(-1, &status, 0, &u);
		failed += status != 0;
		figures[CPU] += (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000L + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
		figures[RSS] += u.ru_maxrss;
		figures[FAULTS] += u.ru_minflt + u.ru_majflt;
		figures[SWITCHES] += u.ru_nvcsw;
	}
	for (int i = CPU; i < FIGURES; i++) figures[i] /= copies;
	figures[WALL] = micros() - start;
	return failed;
}

int main(int argc, char **argv)
{
	if (argc < 4) return fprintf(stderr, "usage: spawn RUNS COPIES COMMAND ...\n"), 2;
	int runs = atoi(argv[1]), copies = atoi(argv[2]), commands = argc - 3;
	long (*all)[FIGURES][runs] = calloc(commands, sizeof *all);
	int *failed = calloc(commands, sizeof *failed);
	posix_spawn_file_actions_t silent;
	posix_spawn_file_actions_init(&silent);
	posix_spawn_file_actions_addopen(&silent, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&silent, 2, "/dev/null", O_WRONLY, 0);
	for (int r = -1; r < runs; r++) /* the first warms up */
		for (int i = 0; i < commands; i++) {
			int c = (i + r + 1) % commands;
			long figures[FIGURES];
			int bad = run(argv[3 + c], copies, &silent, figures);
			if (r < 0) continue;
			failed[c] += bad;
			for (int f = 0; f < FIGURES; f++) all[c][f][r] = figures[f];
		}
	for (int c = 0; c < commands; c++) {
		for (int f = 0; f < FIGURES; f++) {
			qsort(all[c][f], runs, sizeof(long), compare);
			printf("%ld ", all[c][f][runs / 2]);
		}
		printf("%d\n", failed[c]);
	}
}
