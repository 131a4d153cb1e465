"""iFlytek's Spark over its WebSocket: https://www.xfyun.cn/doc/spark/Web.html"""
