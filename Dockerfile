# The one image of the service; ROLES says what a container does.
# Stage 1 installs the dependencies and keeps one uWebSockets.js binary of the dozens it ships; stage 2 holds what runs.
# glibc 2.38 or newer is needed by that binary, hence Debian trixie.

FROM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
# The last line fails the build if the binary that is left does not load.
RUN keep="uws_$(node -p 'process.platform')_$(node -p 'process.arch')_$(node -p 'process.versions.modules').node" \
 && test -f "node_modules/uWebSockets.js/$keep" \
 && find node_modules/uWebSockets.js -name '*.node' ! -name "$keep" -delete \
 && node -e "require('uWebSockets.js')"

FROM node:24-trixie-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY . .
RUN npm run build
RUN install -d -o node -g node -m 0700 /data
USER node
# 8080 HTTP, 8081 WebSocket.
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HTTP_PORT || 8080}/healthz`).then(reply => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
# What a message leaves for the garbage collector is young: room for it saves a third of that work under load (also in package.json).
CMD ["node", "--max-semi-space-size=64", "--enable-source-maps", "dist/main.js"]
