# Copy the jars that Maven built, of the Java project and its modules.
file(GLOB jars "${FROM}/target/*.jar" "${FROM}/grpc/target/*.jar")
if(NOT jars)
  message(FATAL_ERROR "there are no jars in ${FROM}")
endif()
file(COPY ${jars} DESTINATION "${TO}")
