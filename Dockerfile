# The daemon for other machines: docs/network.md says how to run it.
FROM python:3.13-slim

COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt '/src[postgres]' \
    && rm -r /src \
    && useradd --create-home mailbox \
    && install --directory --owner=mailbox --mode=700 /home/mailbox/.claude-mailbox

USER mailbox
VOLUME /home/mailbox/.claude-mailbox
EXPOSE 37849
HEALTHCHECK CMD ["claude-mailbox", "status"]
ENTRYPOINT ["claude-mailbox"]
CMD ["serve"]
