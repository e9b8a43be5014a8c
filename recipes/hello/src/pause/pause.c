/*
 * pause: the process that keeps a pod's namespaces alive.
 *
 * It waits until SIGINT or SIGTERM asks it to end, and as pid 1 collects the children that others left behind.
 *
 * All signals are blocked and taken one at a time with sigwaitinfo(2), so no code ever runs in a handler and none
 * can be lost between a check and a wait.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_OF(word) #word
#define TEXT(word) TEXT_OF(word)

#ifndef VERSION
#define VERSION unknown
#endif

static void collect_children(void)
{
	/* Signals do not queue: one SIGCHLD may stand for many children. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int wait_for_the_end(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &wanted, NULL) != 0) {
		perror("pause: sigprocmask");
		return 1;
	}
	/* Said after the signals are blocked: who reads it can rely on them. */
	if (getpid() != 1)
		fprintf(stderr, "pause: not pid 1, orphans of others are not mine to collect\n");
	/* Children may have ended before the signals were blocked. */
	collect_children();
	for (;;) {
		int number = sigwaitinfo(&wanted, NULL);

		if (number == SIGINT || number == SIGTERM)
			return 0;
		if (number == SIGCHLD)
			collect_children();
		else if (number < 0 && errno != EINTR) {
			perror("pause: sigwaitinfo");
			return 1;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "-v") == 0) {
		printf("pause %s\n", TEXT(VERSION));
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "usage: pause [-v]\n");
		return 2;
	}
	return wait_for_the_end();
}
